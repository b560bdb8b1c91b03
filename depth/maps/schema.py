"""JSON Schemas (draft 2020-12) of what is said about results, for the programs that read it.

result       NAME.json beside the depth files of an image
description  the JSON inside a depth file, of one map; an HTTP answer has it too
report       a line of depth-report.jsonl, the log of a folder job

`schema.json` has them as one set of definitions. Keys that a later version adds are no error.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from depth.errors import InputError

SCHEMAS = ("result", "description", "report")

_DEFINITIONS = Path(__file__).with_name("schema.json")


def schema_named(name: str) -> dict[str, Any]:
    """One of SCHEMAS, with all that it refers to. Raises InputError for another name."""
    if name not in SCHEMAS:
        raise InputError(f"no schema {name!r}: expected {', '.join(SCHEMAS)}")
    whole: dict[str, Any] = json.loads(_DEFINITIONS.read_text(encoding="utf-8"))
    return {"$schema": whole["$schema"], "$ref": f"#/$defs/{name}", "$defs": whole["$defs"]}
