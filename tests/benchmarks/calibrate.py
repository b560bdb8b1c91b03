"""Fits the calibration of compile/plan to published rows, and says how far to trust it.

    python -m tests.benchmarks.calibrate

Least squares of ln(predicted / published), with weak priors: few rows tell some parameters, and
without a prior a fit that leaves one of them out could go anywhere. The constants of
compile/plan/calibration.py are what `fit`, `spread_of` and `errors_of` give; a test repeats them.
Rows of others widen the range and never move the estimate, so they remain a check of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from math import log
from typing import Callable

import numpy as np
import numpy.typing as npt
import typer

from compile.plan.calibration import AWS, CALIBRATIONS, OTHERS, Errors, factors
from compile.plan.roofline import Calibration, Load, calls_per_s, time_of
from depth.chips import Chip
from depth.console import markdown
from tests.benchmarks.measured import kept_rows
from tests.benchmarks.published import ROWS, Kind, Row

Vector = npt.NDArray[np.float64]
_Errors = Callable[[Vector], Vector]

# Round numbers, and how far from them is no surprise: the standard deviation of their logarithm.
_PRIOR = Calibration(linear=0.4, conv=0.4, memory=0.8, sharing=1.2, input_gb_s=1.0, call_ms=1.0)
_PRIOR_SPREAD = Calibration(
    linear=1.0, conv=1.0, memory=0.3, sharing=0.5, input_gb_s=1.0, call_ms=1.0
)
_ROW_SPREAD = 0.25  # the same for a row: what a roofline of six numbers can be expected to reach

_STEP, _SETTLED, _MAX_STEPS = 1e-4, 1e-9, 500

_IN_THE_FIT = (Kind.FITTED, Kind.MEASURED)
_FIGURES = ("published ms per call", "predicted", "published / predicted")


@dataclass(frozen=True)
class Check:
    """A published row and what the model says of it."""

    row: Row
    call_ms: float  # predicted

    @property
    def ratio(self) -> float:
        """Published by predicted: above 1, the model promises too much."""
        return self.row.call_ms / self.call_ms


def fit(chip: Chip, rows: Sequence[Row]) -> Calibration:
    """The calibration that these rows of a chip ask for."""
    mean, spread = np.log(astuple(_PRIOR)), np.array(astuple(_PRIOR_SPREAD))

    def errors(logs: Vector) -> Vector:
        found = _calibration(logs)
        misses = [log(predict(chip, row, found) / row.call_ms) for row in rows]
        return np.concatenate([np.array(misses) / _ROW_SPREAD, (logs - mean) / spread])

    return _calibration(_least_squares(errors, mean))


def predict(chip: Chip, row: Row, calibration: Calibration) -> float:
    """ms between two results of one program of a row."""
    cores = row.programs * row.cores_per_program
    load = Load(row.batch, cores // row.chips, row.cores_per_program)
    time = time_of(row.work, chip, calibration, load)
    return 1e3 / calls_per_s([time], row.cores_per_program, row.in_flight)


def checks(chip: Chip, calibration: Calibration, kind: Kind) -> list[Check]:
    return [Check(row, predict(chip, row, calibration)) for row in _rows(chip, kind)]


def leave_one_out(chip: Chip) -> list[Check]:
    """Each row of the fit, predicted by a fit to the others."""
    rows = fitted_rows(chip)
    return [
        Check(row, predict(chip, row, fit(chip, [other for other in rows if other is not row])))
        for row in rows
    ]


def spread_of(found: Sequence[Check]) -> float:
    """Root mean square of the logarithms of the ratios."""
    return float(np.sqrt(np.mean([log(check.ratio) ** 2 for check in found])))


def errors_of(found: Sequence[Check]) -> Errors:
    """Mean and standard deviation of the logarithms of the ratios; each row counts once."""
    logs = [log(check.ratio) for check in found]
    return Errors(float(np.mean(logs)), float(np.std(logs, ddof=1)))


def outside(found: Sequence[Check], limits: tuple[float, float]) -> list[Check]:
    """Those whose ratio is below the first limit or above the second."""
    return [check for check in found if not limits[0] <= check.ratio <= limits[1]]


def evidence_tables(chip: Chip) -> str:
    """The fit for one chip: its parameters, and its rows, kind by kind."""
    found, aws = CALIBRATIONS[chip], AWS[chip].factors
    left_out = {check.row: check for check in leave_one_out(chip)}
    lines = [
        f"## {chip.name}: predicted and published",
        "",
        f"Fitted: {found.linear:.0%} of the matrix engine's peak for products of matrices, "
        f"{found.conv:.0%} for convolutions, {found.memory:.0%} of the memory's peak, "
        f"{found.sharing:.2f} times slower when all cores of a chip work, "
        f"{found.input_gb_s:.2f} GB/s from the host per program, {found.call_ms:.2f} ms per call.",
        "",
    ]
    for kind in _IN_THE_FIT:
        seen = checks(chip, found, kind)
        rows = [(*_cells(check), f"{left_out[check.row].ratio:.2f}") for check in seen]
        heading = (kind.value, *_FIGURES, "the same if left out")
        lines += [*markdown(heading, rows, right=range(1, 5)), ""] if rows else []
    lines.append(f"Range of AWS's rows: {_text(aws)}, two standard deviations of the last column.")
    for kind in (Kind.HELD_OUT, Kind.OTHERS, Kind.OPERATOR):
        seen = checks(chip, found, kind)
        lines += _unseen_table(kind, seen, outside(seen, aws)) if seen else []
    lines += [
        "",
        f"Range of the rows of others, without single convolutions: {_text(OTHERS[chip].factors)}, "
        f"two standard deviations about their mean. Range of an estimate, from the lower low end "
        f"to the higher high end: {_text(factors(chip))}.",
    ]
    return "\n".join(lines)


def _unseen_table(kind: Kind, found: Sequence[Check], missed: Sequence[Check]) -> list[str]:
    rows = [(*_cells(check), "NO" if check in missed else "yes") for check in found]
    return ["", *markdown((kind.value, *_FIGURES, "in the range of AWS"), rows, right=range(1, 4))]


def fitted_rows(chip: Chip) -> list[Row]:
    """All rows that the calibration is fitted to."""
    return [row for kind in _IN_THE_FIT for row in _rows(chip, kind)]


def _rows(chip: Chip, kind: Kind) -> list[Row]:
    if kind is Kind.MEASURED:
        return kept_rows(chip)
    return [row for row in ROWS[chip] if row.kind is kind]


def _text(limits: tuple[float, float]) -> str:
    return f"{limits[0]:.2f} to {limits[1]:.2f}"


def _cells(check: Check) -> tuple[str, ...]:
    figures = check.row.call_ms, check.call_ms, check.ratio
    return (check.row.name, *(f"{figure:.2f}" for figure in figures))


def _calibration(logs: Vector) -> Calibration:
    return Calibration(*(float(value) for value in np.exp(logs)))


def _least_squares(errors: _Errors, start: Vector) -> Vector:
    """Levenberg and Marquardt's method."""
    at, found, damping = start, errors(start), 1e-2
    for _ in range(_MAX_STEPS):
        slopes = _slopes(errors, at, found)
        normal = slopes.T @ slopes + damping * np.eye(len(at))
        step = np.linalg.solve(normal, -slopes.T @ found)
        tried = errors(at + step)
        gain = found @ found - tried @ tried
        if gain > 0:
            at, found, damping = at + step, tried, damping / 3
        else:
            damping *= 3
        if np.abs(step).max() < _SETTLED:
            break
    return at


def _slopes(errors: _Errors, at: Vector, found: Vector) -> Vector:
    columns = [(errors(at + _STEP * unit) - found) / _STEP for unit in np.eye(len(at))]
    return np.array(columns).T


if __name__ == "__main__":
    typer.echo("\n\n".join(map(evidence_tables, CALIBRATIONS)))
