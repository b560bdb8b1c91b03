"""What the fit to published rows found for each chip; tests/benchmarks/calibrate.py makes it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import exp

from compile.plan.roofline import BEST, Calibration, Case
from depth.chips import INFERENTIA, INFERENTIA2, Chip

CALIBRATIONS: dict[Chip, Calibration] = {
    INFERENTIA: Calibration(
        linear=0.586, conv=0.440, memory=0.714, sharing=1.438, input_gb_s=0.357, call_ms=1.489
    ),
    # No row tells its memory from its other limits: that figure is the prior's.
    INFERENTIA2: Calibration(
        linear=0.496, conv=0.507, memory=0.800, sharing=1.393, input_gb_s=1.412, call_ms=0.273
    ),
}

# Single convolutions on Inf1 (aws-neuron-sdk issue 826) took a few percent of the fit's price of a
# call, and less than half of its price of a byte. Nobody published the like for Inf2.
BEST_CALIBRATIONS: dict[Chip, Calibration] = {
    **CALIBRATIONS,
    INFERENTIA: replace(CALIBRATIONS[INFERENTIA], input_gb_s=0.87, call_ms=0.04),
}


@dataclass(frozen=True)
class Errors:
    """ln(published / predicted) over a group of rows."""

    mean: float
    deviation: float  # standard deviation

    @property
    def factors(self) -> tuple[float, float]:
        """Published by predicted times, lowest and highest: two deviations about the mean."""
        return exp(self.mean - 2 * self.deviation), exp(self.mean + 2 * self.deviation)


# Rows of AWS in the fit, each predicted by a fit to the other rows.
AWS: dict[Chip, Errors] = {INFERENTIA: Errors(0.0, 0.289), INFERENTIA2: Errors(0.0, 0.241)}

# Networks that others compiled and timed. The fit has seen none of these rows.
OTHERS: dict[Chip, Errors] = {
    INFERENTIA: Errors(0.201, 0.209),
    INFERENTIA2: Errors(1.003, 0.313),
}


def factors(chip: Chip) -> tuple[float, float]:
    """A time on the chip by the estimated time, lowest and highest.

    The low end is the lower of two, the high end the higher of two: rows of AWS and rows of others.
    AWS tunes the networks that it publishes; a user of this estimate does not work at AWS. One
    spread over all rows would hide that difference behind the many rows of AWS.
    """
    low, high = zip(AWS[chip].factors, OTHERS[chip].factors)
    return min(low), max(high)


def calibration_of(chip: Chip, case: Case) -> Calibration:
    """As fitted; in the best case with the cheapest calls that anybody published."""
    return (BEST_CALIBRATIONS if case == BEST else CALIBRATIONS)[chip]
