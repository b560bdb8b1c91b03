"""Depth of each frame, moved onto that of the frame before: by scale and shift in inverse depth.

A network of single images chooses scale and shift anew for each frame; that is most of what
flickers. Points are compared where they were (`motion`). What moved by itself, or came into view,
disagrees with the rest, and the robust fit leaves it out. Nothing else changes: values of a frame
keep their order and their detail.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

import numpy as np

from depth.errors import FitError
from depth.family import RELATIVE_INVERSE
from depth.fitting.robust import Fitting, ScaleShift, fit
from depth.maps.fit import SCALE, SCALE_SHIFT
from depth.maps.result import FloatArray
from depth.sequences.anchor import ANCHORING, Anchor, Anchoring, middle_and_spread
from depth.sequences.motion import Motion

_POINTS = 4000  # that a fit takes, at most
_TINY = 1e-12
UNMOVED = ScaleShift(1.0)


@dataclass(frozen=True)
class Aligned:
    """How the values of a frame are moved: value -> scale * value + shift.

    fitted  whether neighbours agreed; else middle and spread are those of the frame before
    """

    move: ScaleShift
    fitted: bool


class Neighbours:
    """Aligns the frames of a sequence, one after the other.

    kind  of depth. Inverse depth gets a scale and a shift. Depth gets a scale: it is known up to
          that, and a shift of its inverse could move it behind the camera
    """

    def __init__(self, kind: str, anchoring: Anchoring = ANCHORING) -> None:
        self._inverse = kind == RELATIVE_INVERSE
        self._by = SCALE_SHIFT if self._inverse else SCALE
        self._anchoring = anchoring
        self._begin()

    def _begin(self) -> None:
        self._anchor = Anchor(self._by, self._anchoring)
        self._last: Optional[FloatArray] = None  # inverse depth, aligned

    def aligned(self, values: FloatArray, motion: Optional[Motion]) -> Aligned:
        """The move of the next frame.

        values  [h,w] small
        motion  to the frame before; None begins a shot, whose first frame stays as it is
        """
        if motion is None:
            self._begin()
        inverse = values if self._inverse else 1 / np.maximum(values, np.float32(_TINY))
        move, fitted = self._move(inverse, motion)
        move = self._anchor.pulled(inverse, move)
        self._last = move.applied(inverse).astype(np.float32)
        return Aligned(move if self._inverse else ScaleShift(1 / move.scale), fitted)

    def _move(self, inverse: FloatArray, motion: Optional[Motion]) -> tuple[ScaleShift, bool]:
        if motion is None or self._last is None:
            return UNMOVED, True
        chosen = np.flatnonzero(motion.known & (inverse != 0))  # 0: cut by the network's last layer
        chosen = chosen[:: 1 + len(chosen) // _POINTS]
        now, before = (a.ravel()[chosen] for a in (inverse, motion.carried(self._last)))
        try:
            return _fitted(now, before, self._by), True
        except FitError:
            return self._by_spread(inverse, self._last), False

    def _by_spread(self, inverse: FloatArray, last: FloatArray) -> ScaleShift:
        """The move that gives a frame the middle and the spread of the frame before."""
        (middle, spread), (aim, wide) = middle_and_spread(inverse), middle_and_spread(last)
        if self._by == SCALE:
            return ScaleShift(aim / middle) if middle > 0 and aim > 0 else UNMOVED
        scale = wide / spread if spread > 0 and wide > 0 else 1.0
        return ScaleShift(scale, aim - scale * middle)


def _fitted(now: FloatArray, before: FloatArray, by: str) -> ScaleShift:
    """The fit both ways, and between them: one way alone makes the scale too small by noise."""
    step = Fitting(by=by, draws=100, most_judged=1000, rounds=10)
    there, back = fit(now, before, step=step), fit(before, now, step=step)
    scale = float(np.sqrt(there.move.scale / back.move.scale))
    if by == SCALE:
        return ScaleShift(scale)
    agree = there.inliers & back.inliers
    if not agree.any():
        raise FitError("no point agrees both ways")
    shift = float(before[agree].mean(dtype=np.float64) - scale * now[agree].mean(dtype=np.float64))
    return ScaleShift(scale, shift)
