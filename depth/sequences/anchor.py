"""What keeps aligned depth near the network's own, so that errors of neighbours do not add up.

Aligned to its neighbour alone, depth drifts: by the error of each fit, and where the camera moves
towards what it sees. The network's own middle and spread jump from frame to frame, but not away
over many frames. So their slow mean is the reference to which aligned depth is pulled, slowly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from depth.fitting.robust import SCALE, ScaleShift
from depth.maps.result import FloatArray

Pair = npt.NDArray[np.float64]  # logarithm of the spread, and the middle


@dataclass(frozen=True)
class Anchoring:
    """The parameters of an anchor."""

    slow: int = 200  # frames of the slow mean
    warm: int = 60  # frames of a shot that settle where its depth lies beside the mean
    free: float = 0.2  # how far it may lie from there, in spreads, before it is pulled
    pull: float = 0.01  # share of what has drifted further, that each frame takes back


ANCHORING = Anchoring()


class Anchor:
    """The slow reference of a shot. Call `pulled` once per frame, in order.

    by  of FITS_BY; with SCALE nothing is ever shifted
    """

    def __init__(self, by: str, how: Anchoring = ANCHORING) -> None:
        self._by = by
        self._how = how
        self._count = 0
        self._mean: Pair = np.zeros(2)  # of the network's own values
        self._beside: Pair = np.zeros(2)  # aligned values less the mean, as the shot began

    def pulled(self, values: FloatArray, move: ScaleShift) -> ScaleShift:
        """The move of a frame, a little nearer to the reference. `values`: of the network."""
        middle, spread = middle_and_spread(values)
        size = middle if self._by == SCALE else spread
        if not size > 0:  # one depth everywhere says nothing
            return move
        self._count += 1
        own = np.array([np.log(size), middle])
        self._mean += (own - self._mean) / min(self._count, self._how.slow)
        aligned = np.array([np.log(move.scale * size), move.scale * middle + move.shift])
        beside = aligned - self._mean
        if self._count <= self._how.warm:
            self._beside += (beside - self._beside) / self._count
            return move
        units = np.array([1.0, move.scale * spread if spread > 0 else 1.0])
        off = (beside - self._beside) / units
        far = np.sign(off) * np.maximum(0, np.abs(off) - self._how.free)
        back = self._how.pull * far * units
        scale = float(move.scale * np.exp(-back[0]))
        if self._by == SCALE:
            return ScaleShift(scale)
        return ScaleShift(scale, float(aligned[1] - back[1] - scale * middle))


def middle_and_spread(values: FloatArray) -> tuple[float, float]:
    """The median, and how far apart the 10th and the 90th percentile are."""
    low, middle, high = np.percentile(values, [10, 50, 90])
    return float(middle), float(high - low)
