"""Rows that a first run measured on a chip. Nobody has measured one yet: there is no such file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

from compile.plan.work import work_of
from depth.chips import INFERENTIA, Chip
from depth.family import model_named
from depth.sizes import parse_size
from tests.benchmarks.published import Kind, Row
from tests.support.places import ROOT

MEASURED = Path("tests/benchmarks/results/first-run.json")


def kept_rows(chip: Chip, root: Path = ROOT) -> list[Row]:
    """The rows in the file that tests/benchmarks/first_run.py writes; [] if there is none."""
    path = root / MEASURED
    if chip is not INFERENTIA or not path.exists():
        return []
    return measured_rows(json.loads(path.read_text(encoding="utf-8")))


def measured_rows(data: Sequence[Mapping[str, Any]]) -> list[Row]:
    return [_row(one) for one in data]


def _row(one: Mapping[str, Any]) -> Row:
    model, programs, in_flight = model_named(one["model"]), one["programs"], one["in_flight"]
    size = parse_size(one["size"], model.size.check)
    work = reduce(add, work_of(model, size))  # all stages in one program
    latency_ms = 1e3 * programs * in_flight / one["images_per_s"]
    return Row(
        one["name"],
        *(work, 1, programs, in_flight, one["images_per_s"], latency_ms, Kind.MEASURED),
    )
