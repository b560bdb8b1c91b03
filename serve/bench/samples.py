"""Many samples in a few numbers, and two artifacts in one ratio."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

Rounds = Sequence[Sequence[float]]  # one list of samples per round

PERCENTILES = (50, 95, 99)


def percentiles(rounds: Rounds) -> tuple[float, ...]:
    """Those of PERCENTILES over all rounds, interpolated between samples.

    Of fewer than 100 samples the 99th is little else than the largest.
    """
    samples = np.concatenate([np.asarray(each, np.float64) for each in rounds])
    return tuple(float(value) for value in np.percentile(samples, PERCENTILES))


@dataclass(frozen=True)
class Ratio:
    """One side over the other: of the medians, and the lowest and highest of single rounds."""

    middle: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.middle:.2f} ({self.low:.2f} to {self.high:.2f})"


def ratio(upper: Rounds, lower: Rounds) -> Ratio:
    """`upper` over `lower`, which were measured in turns, round by round."""
    pairs = [median(a) / median(b) for a, b in zip(upper, lower)]
    middle = median(_all(upper)) / median(_all(lower))
    return Ratio(middle, min(pairs), max(pairs))


def _all(rounds: Rounds) -> list[float]:
    return [sample for each in rounds for sample in each]
