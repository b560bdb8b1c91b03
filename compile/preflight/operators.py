"""The operators that torch-neuron takes, from the data file beside this one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_FILE = Path(__file__).with_name("inf1_operators.json")


@dataclass(frozen=True)
class Operators:
    supported: frozenset[str]  # the name is listed
    conditional: frozenset[str]  # listed with conditions only: some forms compile
    seen_compiled: frozenset[str]  # not listed, yet compiled in a published log
    instead: Mapping[str, str]  # operator that is not listed: what to write for it


@cache
def inf1_operators() -> Operators:
    """The list for torch-neuron 1.13.1; the data file names its source."""
    data = json.loads(_FILE.read_text(encoding="utf-8"))
    return Operators(
        frozenset(data["supported"]),
        frozenset(data["conditional"]),
        frozenset(data["seen_compiled"]),
        data["instead"],
    )
