"""The figures that papers give for depth, one function for each.

p predicted and t true, both float64 [N], metres, over 0. Where a function names no other source, it
is Eigen, Puhrsch and Fergus, "Depth Map Prediction from a Single Image using a Multi-Scale Deep
Network", 2014.
"""

from __future__ import annotations

from typing import Callable

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]

DELTA = 1.25


def abs_rel(p: Doubles, t: Doubles) -> float:
    """Mean of |p - t| / t."""
    return float(np.mean(np.abs(p - t) / t))


def sq_rel(p: Doubles, t: Doubles) -> float:
    """Mean of (p - t)^2 / t, in metres."""
    return float(np.mean((p - t) ** 2 / t))


def rmse(p: Doubles, t: Doubles) -> float:
    """Root of the mean of (p - t)^2, in metres."""
    return float(np.sqrt(np.mean((p - t) ** 2)))


def rmse_log(p: Doubles, t: Doubles) -> float:
    """Root of the mean of (ln p - ln t)^2."""
    return float(np.sqrt(np.mean(np.log(p / t) ** 2)))


def log10(p: Doubles, t: Doubles) -> float:
    """Mean of |log10 p - log10 t| (Saxena, Sun and Ng, "Make3D", 2009)."""
    return float(np.mean(np.abs(np.log10(p / t))))


def silog(p: Doubles, t: Doubles) -> float:
    """100 times the standard deviation of ln p - ln t, as the benchmark of KITTI has it.

    The root of the scale-invariant error of Eigen et al. A factor on all p changes nothing.
    """
    return 100 * float(np.std(np.log(p / t)))


def delta(p: Doubles, t: Doubles, power: int) -> float:
    """The share with max(p / t, t / p) below 1.25 ** power."""
    return float(np.mean(np.maximum(p / t, t / p) < DELTA**power))


def delta1(p: Doubles, t: Doubles) -> float:
    """`delta` of power 1."""
    return delta(p, t, 1)


def delta2(p: Doubles, t: Doubles) -> float:
    """`delta` of power 2."""
    return delta(p, t, 2)


def delta3(p: Doubles, t: Doubles) -> float:
    """`delta` of power 3."""
    return delta(p, t, 3)


METRICS: dict[str, Callable[[Doubles, Doubles], float]] = {
    found.__name__: found
    for found in (
        abs_rel,
        sq_rel,
        rmse,
        rmse_log,
        log10,
        silog,
        delta1,
        delta2,
        delta3,
    )
}


def measured(p: Doubles, t: Doubles) -> dict[str, float]:
    """Every figure of METRICS, by name."""
    return {name: found(p, t) for name, found in METRICS.items()}
