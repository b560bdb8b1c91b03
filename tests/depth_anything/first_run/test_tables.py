"""What a first run measured goes into the tables: and nothing of a machine without a chip."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from compile.plan.calibration import CALIBRATIONS
from depth.chips import INFERENTIA
from depth.errors import InputError
from depth_anything.first_run.trial import PASSED, Tried, by_name
from serve.errors import Action
from tests.benchmarks.first_run import (
    CALIBRATION,
    OPERATORS,
    TEXTS,
    check_real,
    rows_of,
    texts_of,
    updates,
)
from tests.benchmarks.measured import MEASURED, kept_rows
from tests.support.places import ROOT

RATES = {"4": 40.0, "8": 44.0}
TEXT = "nrt: device 0x7f says 17 no more rings\nmempool of nc0 exhausted at 12345"


def tried(name: str, **facts: Any) -> Tried:
    return Tried(name, "serve", "a test", PASSED, (("x",),), 1.0, "", None, facts)


def drill(name: str, text: str, understood_as: object, *expected: str) -> Tried:
    return tried(name, text=text, understood_as=understood_as, expected=list(expected))


def results(*rows: Tried) -> dict[str, Tried]:
    bench = {"program": "70x70-b1", "latency_ms": 90.0, "images_per_s": RATES}
    driver = {"neuron": {"driver": "2.24", "instance_type": "inf1.xlarge"}}
    return by_name([tried("doctor", facts=driver), tried("cores-4", bench=bench), *rows])


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    """A copy of the tables, which may be changed."""
    for path in (CALIBRATION, TEXTS, OPERATORS):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text((ROOT / path).read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / MEASURED).parent.mkdir(parents=True)
    return tmp_path


def test_nothing_is_taken_from_a_machine_without_a_driver() -> None:
    check_real(results())
    for facts in ({}, {"facts": {"neuron": {"driver": None}}}):
        with pytest.raises(InputError, match="without a Neuron driver"):
            check_real(by_name([tried("doctor", **facts)]))
    with pytest.raises(InputError, match="without a Neuron driver"):
        check_real({})


def test_rates_become_rows_of_the_plan(tables: Path) -> None:
    found = list(rows_of(results()))
    assert [(row["programs"], row["in_flight"], row["images_per_s"]) for row in found] == [
        (4, 1, 40.0),
        (4, 2, 44.0),
    ]
    assert kept_rows(INFERENTIA, tables) == []
    after = dict(updates(results(), tables))
    (tables / MEASURED).write_text(after[MEASURED])
    rows = kept_rows(INFERENTIA, tables)
    assert [row.latency_ms for row in rows] == pytest.approx([100.0, 8e3 / 44])
    # As for every published row: throughput times latency is what is in flight.
    assert [row.images_per_s * row.latency_ms / 1e3 for row in rows] == pytest.approx([4.0, 8.0])


def test_the_efficiency_factors_are_fitted_again(tables: Path) -> None:
    text = dict(updates(results(), tables))[CALIBRATION]
    before = (ROOT / CALIBRATION).read_text(encoding="utf-8")
    names: dict[str, Any] = {}
    exec(text.replace("from __future__ import annotations", ""), names)  # it is our own file
    assert names["CALIBRATIONS"][INFERENTIA] != CALIBRATIONS[INFERENTIA]
    changed = [new for old, new in zip(before.splitlines(), text.splitlines()) if old != new]
    assert len(changed) == 1
    assert "linear=" in changed[0]


def test_a_text_that_was_not_understood_becomes_a_row_of_the_statuses(tables: Path) -> None:
    rows = [
        drill("drill-memory-full", TEXT, None, "unload"),
        drill("drill-wrong-shape", "Incorrect tensor shape", "request fault", "request fault"),
        drill("drill-killed-owner", "", None),
    ]
    assert list(texts_of(by_name(rows))) == [
        ("mempool\\ of\\ nc", "unload", "memory ran out: load fewer programs")
    ]
    text = dict(updates(results(*rows), tables))[TEXTS]
    names: dict[str, Any] = {}
    exec(text, names)
    assert names["SEEN"] == tuple(texts_of(by_name(rows)))
    assert Action(names["SEEN"][0][1]) is Action.UNLOAD


def test_the_sdk_s_operators_take_the_place_of_ours(tables: Path) -> None:
    listed = tried("operators", supported=["aten::new_one", "aten::relu"])
    after = json.loads(dict(updates(results(listed), tables))[OPERATORS])
    before = json.loads((ROOT / OPERATORS).read_text(encoding="utf-8"))
    assert [name for name in after["supported"] if name.startswith("aten::")] == [
        "aten::new_one",
        "aten::relu",
    ]
    assert {name for name in after["supported"] if name.startswith("prim::")} == {
        name for name in before["supported"] if name.startswith("prim::")
    }
    assert after["instead"] == before["instead"]


def test_without_results_no_table_changes(tables: Path) -> None:
    assert list(updates({}, tables)) == []
