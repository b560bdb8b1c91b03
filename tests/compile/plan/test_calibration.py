"""The fit: repeatable, and right about rows that it has not seen."""

from __future__ import annotations

import re
from dataclasses import astuple, replace
from math import log

import pytest

from compile.plan.calibration import CALIBRATIONS, SPREADS, factor
from compile.plan.roofline import Calibration
from depth.chips import INFERENTIA, INFERENTIA2, Chip
from tests.benchmarks.calibrate import (
    checks,
    evidence_tables,
    fit,
    leave_one_out,
    outside,
    predict,
    spread_of,
)
from tests.benchmarks.published import ROWS
from tests.support.places import ROOT

CHIPS = (INFERENTIA, INFERENTIA2)
each_chip = pytest.mark.parametrize("chip", CHIPS, ids=lambda chip: chip.name)


@each_chip
def test_the_constants_are_what_the_fit_gives(chip: Chip) -> None:
    rows = [row for row in ROWS[chip] if row.calibrates]
    assert astuple(fit(chip, rows)) == pytest.approx(astuple(CALIBRATIONS[chip]), rel=0.003)


@each_chip
def test_the_range_is_the_spread_of_rows_predicted_from_the_others(chip: Chip) -> None:
    assert spread_of(leave_one_out(chip)) == pytest.approx(SPREADS[chip], abs=0.001)


@each_chip
def test_rows_that_the_fit_has_not_seen_are_in_the_range(chip: Chip) -> None:
    unseen = checks(chip, CALIBRATIONS[chip], calibrates=False)
    assert len(unseen) >= 7
    assert outside(unseen, factor(chip)) == []


@each_chip
def test_the_benchmark_reports_a_range_that_is_too_tight(chip: Chip) -> None:
    unseen = checks(chip, CALIBRATIONS[chip], calibrates=False)
    missed = outside(unseen, 1.05)
    assert missed
    assert len(missed) < len(unseen)
    assert all(abs(log(check.ratio)) > log(1.05) for check in missed)


def test_the_benchmark_shows_a_missed_row_as_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SPREADS, INFERENTIA, 0.02)
    table = evidence_tables(INFERENTIA)
    assert re.search(r"^\| OpenPose .* \| NO \|$", table, re.MULTILINE)
    assert re.search(r"^\| BERT base b1, pipeline .* \| yes \|$", table, re.MULTILINE)


@each_chip
def test_a_wrong_efficiency_puts_unseen_rows_out_of_the_range(chip: Chip) -> None:
    right = CALIBRATIONS[chip]
    wrong = replace(right, linear=right.linear / 3, conv=right.conv / 3)
    assert len(outside(checks(chip, wrong, calibrates=False), factor(chip))) >= 5


def test_the_fit_finds_the_parameters_that_made_the_rows() -> None:
    """Rows made by known parameters, none of them the prior's, are fitted much closer than it."""
    truth = Calibration(0.5, 0.3, 0.7, 1.5, 0.5, 2.0)
    rows = [
        replace(
            row,
            images_per_s=1e3 * row.batch * row.programs / predict(INFERENTIA, row, truth),
        )
        for row in ROWS[INFERENTIA]
    ]
    found = fit(INFERENTIA, rows)
    assert all(predict(INFERENTIA, r, found) == pytest.approx(r.call_ms, rel=0.1) for r in rows)
    assert found.linear == pytest.approx(truth.linear, rel=0.15)
    assert found.conv == pytest.approx(truth.conv, rel=0.15)


@each_chip
def test_the_page_has_the_tables_of_today(chip: Chip) -> None:
    assert evidence_tables(chip) in (ROOT / "docs/plan.md").read_text(encoding="utf-8")
