"""What the fit to published rows found for each chip; tests/benchmarks/calibrate.py makes it."""

from __future__ import annotations

from math import exp

from compile.plan.roofline import Calibration
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

# Spread of the rows when each is predicted from the others, as a standard deviation of logarithms.
SPREADS: dict[Chip, float] = {INFERENTIA: 0.289, INFERENTIA2: 0.241}


def factor(chip: Chip) -> float:
    """How far a time may be off, up or down: two standard deviations."""
    return exp(2 * SPREADS[chip])
