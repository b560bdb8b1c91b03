"""Hard cuts between shots, found by the colours of neighbouring frames, and by what moved.

A cut changes the histogram of colours at once. A smaller change counts if hardly a point of the
frame can be followed to the frame before. Fades and dissolves are no cuts here.
"""

from __future__ import annotations

from typing import Any, Optional

import cv2
import numpy as np
import numpy.typing as npt

from depth.images.read import Pixels
from depth.sequences.motion import Gray, Motion, gray_of, motion
from depth.sizes import Size

_SIDE_PX = 160  # of the longer side of a small picture
_LEAST_PX = 16  # of the shorter side: optical flow needs that many
_BINS = 8  # of each colour
_OTHER, _DOUBTFUL = 0.5, 0.2  # distance of the histograms: a cut; a cut if motion says so
_FOLLOWED = 0.3  # share of the points that can be followed in one shot


def small_size(height: int, width: int) -> Size:
    """Height and width in px of the small pictures on which frames are compared."""
    scale = _SIDE_PX / max(height, width)
    return max(_LEAST_PX, round(height * scale)), max(_LEAST_PX, round(width * scale))


def reduced(array: npt.NDArray[Any], size: Size) -> npt.NDArray[Any]:
    """[H,W] or [H,W,3] at another (height, width) px; smaller: averages of areas."""
    smaller = size[0] <= array.shape[0] and size[1] <= array.shape[1]
    how = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return cv2.resize(array, (size[1], size[0]), interpolation=how)


class Shots:
    """Follows frames from one to the next, as long as a shot lasts."""

    def __init__(self) -> None:
        self._histogram: Any = None
        self._gray: Optional[Gray] = None

    def motion(self, small: Pixels) -> Optional[Motion]:
        """The motion from a frame to the frame before; None for the first frame of a shot.

        small  uint8 [h,w,3] BGR at `small_size`
        """
        planes: list[Any] = [small]
        histogram = cv2.calcHist(planes, [0, 1, 2], None, [_BINS] * 3, [0, 256] * 3)
        before, self._histogram = self._histogram, histogram
        last, self._gray = self._gray, gray_of(small)
        if last is None or last.shape != self._gray.shape:
            return None
        off = cv2.compareHist(before, histogram, cv2.HISTCMP_BHATTACHARYYA)
        if off > _OTHER:
            return None
        found = motion(last, self._gray)
        return None if off > _DOUBTFUL and np.mean(found.known) < _FOLLOWED else found
