"""How much depth of the same surface point changes from frame to frame: one number.

For two neighbouring frames of a shot: the median of |value - value before| over the points that
optical flow finds in both, divided by the contrast of the frames, which is what lies between their
5th and 95th percentile. The mean over all pairs is the figure: 0.01 means that a typical point
changes by 1 % of the contrast. It is the warping error OPW of NVDS (arXiv 2307.08695) with two
changes: a median for the mean over points, and the contrast as unit, so that a scale or a shift of
all frames, and the width of a range, change nothing.

It does not say whether depth is right: one constant picture has no contrast, and no figure.
"""

from __future__ import annotations

from typing import Optional

import numpy as np

from depth.maps.result import FloatArray
from depth.sequences.motion import Motion


class Flicker:
    """Takes small values [h,w] of the frames in their order; keeps those of one frame."""

    def __init__(self) -> None:
        self._last: Optional[FloatArray] = None
        self._total = 0.0
        self.pairs = 0

    def add(self, values: FloatArray, motion: Optional[Motion]) -> Optional[float]:
        """The figure of the frame and the frame before; None without it, as in a new shot."""
        last, self._last = self._last, values
        if motion is None or last is None or not motion.known.any():
            return None
        contrast = (_contrast(last) + _contrast(values)) / 2
        if not contrast > 0:
            return None
        change = np.abs(values - motion.carried(last))[motion.known]
        found = float(np.median(change)) / contrast
        self._total += found
        self.pairs += 1
        return found

    @property
    def figure(self) -> Optional[float]:
        """The mean over the pairs; None if there is no pair."""
        return self._total / self.pairs if self.pairs else None


def _contrast(values: FloatArray) -> float:
    low, high = np.percentile(values, [5, 95])
    return float(high - low)
