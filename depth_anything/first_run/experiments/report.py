"""How an experiment ends: one JSON object as the last line on stdout, and an exit code."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any, NoReturn


def end(facts: Mapping[str, Any], failure: str = "") -> NoReturn:
    """Print the facts and exit: with code 1 and the reason on stderr if the experiment failed."""
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()
    if failure:
        sys.stderr.write(failure + "\n")
    sys.exit(1 if failure else 0)
