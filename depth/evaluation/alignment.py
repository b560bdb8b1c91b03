"""Moves a prediction onto the true depth before it is measured, as papers do for each kind.

none                  as it is: metres
median                times median(t) / median(p): Zhou et al., "Unsupervised Learning of Depth and
                      Ego-Motion from Video", 2017
scale                 times the factor of least squares
scale-shift           scale and shift of least squares in depth: Ke et al., "Marigold", 2024
inverse-scale-shift   scale and shift of least squares in inverse depth: Ranftl et al., "Towards
                      Robust Monocular Depth Estimation" (MiDaS), 2020; so Depth Anything

Shapes: N valid pixels | p predicted values | t true depth in metres
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from depth.errors import InputError
from depth.evaluation.metrics import Doubles
from depth.family import METRES, RELATIVE_INVERSE

NONE, MEDIAN, SCALE = "none", "median", "scale"
SCALE_SHIFT, INVERSE = "scale-shift", "inverse-scale-shift"
ALIGNMENTS = (NONE, MEDIAN, SCALE, SCALE_SHIFT, INVERSE)

_FEWEST = 2  # pixels that fix a scale and a shift
_FLAT = 1e-12  # spread of the values to their size, as squares, below which no scale follows


@dataclass(frozen=True)
class Move:
    """value -> scale * value + shift; then its inverse, for a move in inverse depth."""

    scale: float = 1.0
    shift: float = 0.0


def check_kind(kind: str, align: str) -> None:
    """Raises InputError for a kind of prediction that an alignment is not made for."""
    if align not in ALIGNMENTS:
        raise InputError(f"--align {align!r}: choose from {', '.join(ALIGNMENTS)}")
    if kind == RELATIVE_INVERSE and align != INVERSE:
        raise InputError(
            f"--align {align}: the prediction is relative inverse depth, whose scale and shift are "
            f"unknown: give --align {INVERSE}"
        )
    if kind != METRES and align == NONE:
        raise InputError(
            f"--align {NONE}: the prediction is {kind}, not metres: give --align {SCALE} or "
            f"--align {SCALE_SHIFT}"
        )


def move_for(align: str, p: Doubles, t: Doubles) -> Move:
    """The move of one image. Of INVERSE, p is inverse depth already.

    Raises InputError if p settles none.
    """
    if align == NONE:
        return Move()
    if align == MEDIAN:
        return Move(float(np.median(t)) / _not_zero(float(np.median(p)), "median"))
    if align == SCALE:
        return Move(float(p @ t) / _not_zero(float(p @ p), "sum of squares"))
    return least_squares(p, 1 / t if align == INVERSE else t)


def least_squares(p: Doubles, t: Doubles) -> Move:
    """Scale and shift with the least sum of (scale * p + shift - t)^2.

    Raises InputError if all p are equal.
    """
    middle, aim = p.mean(), t.mean()
    spread = float(np.mean((p - middle) ** 2))
    if len(p) < _FEWEST or not spread > _FLAT * float(np.mean(p**2)):
        raise InputError("all predicted values are equal: no scale and shift follow from them")
    scale = float(np.mean((p - middle) * (t - aim))) / spread
    return Move(scale, float(aim - scale * middle))


def moved(align: str, p: Doubles, move: Move, least_m: float, most_m: float) -> Doubles:
    """Depth in metres, from `least_m` to `most_m`, of values under the move of their image.

    Aligned inverse depth at or below 1 / most_m, also below 0, is at `most_m`, as in MiDaS.
    """
    values = move.scale * p + move.shift
    if align == INVERSE:
        values = 1 / np.clip(values, 1 / most_m, 1 / least_m)
    return np.clip(values, least_m, most_m)


def _not_zero(value: float, what: str) -> float:
    if not value > 0:
        raise InputError(f"the {what} of the predicted values is {value:g}: no scale follows")
    return value
