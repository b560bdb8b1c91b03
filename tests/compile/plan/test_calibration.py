"""The fit: repeatable, and right about rows that it has not seen."""

from __future__ import annotations

import re
from dataclasses import astuple, replace
from math import log

import pytest

from compile.plan.calibration import (
    AWS,
    BEST_CALIBRATIONS,
    CALIBRATIONS,
    OTHERS,
    Errors,
    calibration_of,
    factors,
)
from compile.plan.estimate import Host, Layout, estimate
from compile.plan.roofline import BEST, MIDDLE, WORST, Calibration, Load, time_of
from depth.chips import INFERENTIA, INFERENTIA2, Chip, instance_named
from tests.benchmarks.calibrate import (
    checks,
    errors_of,
    evidence_tables,
    fit,
    fitted_rows,
    leave_one_out,
    outside,
    predict,
    spread_of,
)
from tests.benchmarks.published import ROWS, Kind
from tests.support.places import ROOT

CHIPS = (INFERENTIA, INFERENTIA2)
each_chip = pytest.mark.parametrize("chip", CHIPS, ids=lambda chip: chip.name)


@each_chip
def test_the_constants_are_what_the_fit_gives(chip: Chip) -> None:
    found = fit(chip, fitted_rows(chip))
    assert astuple(found) == pytest.approx(astuple(CALIBRATIONS[chip]), rel=0.003)


@each_chip
def test_the_range_of_aws_is_the_spread_of_rows_predicted_from_the_others(chip: Chip) -> None:
    assert AWS[chip].mean == 0
    assert spread_of(leave_one_out(chip)) == pytest.approx(AWS[chip].deviation, abs=0.001)


@each_chip
def test_the_range_of_others_is_two_deviations_about_their_mean(chip: Chip) -> None:
    found = errors_of(checks(chip, CALIBRATIONS[chip], Kind.OTHERS))
    assert astuple(found) == pytest.approx(astuple(OTHERS[chip]), abs=0.001)


@each_chip
def test_held_out_rows_of_aws_are_in_the_range_of_aws(chip: Chip) -> None:
    held_out = checks(chip, CALIBRATIONS[chip], Kind.HELD_OUT)
    assert len(held_out) >= 7
    assert outside(held_out, AWS[chip].factors) == []


@each_chip
def test_the_range_holds_nineteen_of_twenty_rows_of_others(chip: Chip) -> None:
    others = checks(chip, CALIBRATIONS[chip], Kind.OTHERS)
    assert len(others) >= 35
    assert len(outside(others, factors(chip))) <= round(len(others) / 20)


def test_the_range_of_aws_alone_would_miss_what_others_got_on_inferentia2() -> None:
    others = checks(INFERENTIA2, CALIBRATIONS[INFERENTIA2], Kind.OTHERS)
    missed = outside(others, AWS[INFERENTIA2].factors)
    assert len(missed) > 30
    assert all(check.ratio > 1 for check in missed)  # slower than AWS's own rows promise


@pytest.mark.parametrize(
    ("aws", "others", "whole"),
    [
        (Errors(0, 0.2), Errors(1, 0.1), (-0.4, 1.2)),
        (Errors(0, 0.2), Errors(-1, 0.1), (-1.2, 0.4)),
        (Errors(0, 0.2), Errors(0.1, 0.1), (-0.4, 0.4)),
    ],
)
def test_the_range_reaches_from_the_lower_end_to_the_higher(
    aws: Errors, others: Errors, whole: tuple[float, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(AWS, INFERENTIA, aws)
    monkeypatch.setitem(OTHERS, INFERENTIA, others)
    assert tuple(map(log, factors(INFERENTIA))) == pytest.approx(whole)


def test_single_convolutions_are_in_the_range_from_the_best_case() -> None:
    """The fit's price of a call is five times too high for the small ones of them."""
    low, high = factors(INFERENTIA)
    missed = []
    for row in (row for row in ROWS[INFERENTIA] if row.kind is Kind.OPERATOR):
        best_ms, middle_ms = (
            time_of(row.work, INFERENTIA, calibration_of(INFERENTIA, case), Load(), case).total_ms
            for case in (BEST, MIDDLE)
        )
        assert low * best_ms < row.latency_ms < high * middle_ms
        missed += [row.name] if row.latency_ms < low * middle_ms else []
    assert missed == ["256 to 128 channels, 14x14", "512 to 512 channels, 7x7"]


def test_the_range_of_an_estimate_begins_at_the_cheapest_calls(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def low_ms() -> float:
        work = next(row.work for row in ROWS[INFERENTIA] if row.kind is Kind.OPERATOR)
        instance = instance_named("inf1.xlarge")
        return estimate([work], instance, Layout(), Host(0), 1).latency_ms.low

    cheapest = low_ms()
    monkeypatch.setitem(BEST_CALIBRATIONS, INFERENTIA, CALIBRATIONS[INFERENTIA])
    assert low_ms() > 3 * cheapest


def test_only_the_best_case_has_the_cheapest_calls() -> None:
    assert calibration_of(INFERENTIA, BEST) == BEST_CALIBRATIONS[INFERENTIA]
    for case in (MIDDLE, WORST):
        assert calibration_of(INFERENTIA, case) == CALIBRATIONS[INFERENTIA]
    assert calibration_of(INFERENTIA2, BEST) == CALIBRATIONS[INFERENTIA2]


@pytest.mark.parametrize(
    ("kilobytes", "published_ms"),
    [
        (4 * (256 + 128) * 14**2 / 1e3, 0.36),
        (4 * (512 + 512) * 7**2 / 1e3, 0.28),
        (4 * (256 + 128) * 128**2 / 1e3, 29.14),
        (4 * (3 + 3) * 1024**2 / 1e3, 28.91),
    ],
)
def test_the_cheapest_calls_are_those_of_single_convolutions(
    kilobytes: float, published_ms: float
) -> None:
    """Input and output together, and nothing else, give the time of all four."""
    best = BEST_CALIBRATIONS[INFERENTIA]
    assert best.call_ms + kilobytes / 1e3 / best.input_gb_s == pytest.approx(published_ms, rel=0.08)


@each_chip
def test_the_benchmark_reports_a_range_that_is_too_tight(chip: Chip) -> None:
    held_out = checks(chip, CALIBRATIONS[chip], Kind.HELD_OUT)
    missed = outside(held_out, (1 / 1.05, 1.05))
    assert missed
    assert len(missed) < len(held_out)
    assert all(abs(log(check.ratio)) > log(1.05) for check in missed)


def test_the_benchmark_shows_a_missed_row_as_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(AWS, INFERENTIA, Errors(0, 0.02))
    table = evidence_tables(INFERENTIA)
    assert re.search(r"^\| OpenPose .* \| NO \|$", table, re.MULTILINE)
    assert re.search(r"^\| BERT base b1, pipeline .* \| yes \|$", table, re.MULTILINE)


@each_chip
def test_the_benchmark_shows_every_row_under_its_kind(chip: Chip) -> None:
    tables = dict(
        re.findall(r"^\| (\w.*?) \| published .*\n.*\n((?:\|.*\n)+)", evidence_tables(chip), re.M)
    )
    assert set(tables) == {row.kind.value for row in ROWS[chip]}
    for row in ROWS[chip]:
        assert f"| {row.name} | {row.call_ms:.2f} |" in tables[row.kind.value]


@each_chip
def test_a_wrong_efficiency_puts_held_out_rows_out_of_the_range(chip: Chip) -> None:
    right = CALIBRATIONS[chip]
    wrong = replace(right, linear=right.linear / 3, conv=right.conv / 3)
    assert len(outside(checks(chip, wrong, Kind.HELD_OUT), AWS[chip].factors)) >= 5


def test_the_fit_finds_the_parameters_that_made_the_rows() -> None:
    """Rows made by known parameters, none of them the prior's, are fitted much closer than it."""
    truth = Calibration(0.5, 0.3, 0.7, 1.5, 0.5, 2.0)
    rows = [
        replace(
            row,
            images_per_s=1e3 * row.batch * row.programs / predict(INFERENTIA, row, truth),
        )
        for row in ROWS[INFERENTIA]
        if row.kind in (Kind.FITTED, Kind.HELD_OUT)
    ]
    found = fit(INFERENTIA, rows)
    assert all(predict(INFERENTIA, r, found) == pytest.approx(r.call_ms, rel=0.1) for r in rows)
    assert found.linear == pytest.approx(truth.linear, rel=0.15)
    assert found.conv == pytest.approx(truth.conv, rel=0.15)


@each_chip
def test_the_page_has_the_tables_of_today(chip: Chip) -> None:
    assert evidence_tables(chip) in (ROOT / "docs/plan.md").read_text(encoding="utf-8")
