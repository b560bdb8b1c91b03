"""Hard cuts between shots, found by colours and edges of neighbouring frames.

A cut changes the histogram of colours at once; a smaller change counts if the edges are new too
(edge change ratio: Zabih, Miller and Mai, 1995). Fades and dissolves are no cuts here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Optional

import cv2
import numpy as np
import numpy.typing as npt

from depth.images.read import Pixels
from depth.sizes import Size

_SIDE_PX = 160  # of the longer side of a small picture
_LEAST_PX = 16  # of the shorter side: optical flow needs that many
_BINS = 8  # of each colour
_OTHER, _DOUBTFUL = 0.5, 0.25  # distance of the histograms: a cut; a cut if the edges say so
_NEW_EDGES = 0.7  # share of the edges that are far from all edges of the neighbour
_NEAR_PX = 5  # the side of the square in which an edge may have moved
_CANNY = (80, 160)

Histogram = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]


def small_size(height: int, width: int) -> Size:
    """Height and width in px of the small pictures on which frames are compared."""
    scale = _SIDE_PX / max(height, width)
    return max(_LEAST_PX, round(height * scale)), max(_LEAST_PX, round(width * scale))


def reduced(array: npt.NDArray[Any], size: Size) -> npt.NDArray[Any]:
    """[H,W] or [H,W,3] at another (height, width) px; smaller: averages of areas."""
    smaller = size[0] <= array.shape[0] and size[1] <= array.shape[1]
    how = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return cv2.resize(array, (size[1], size[0]), interpolation=how)


@dataclass(frozen=True, eq=False)
class _Seen:
    histogram: Histogram
    edges: Mask


class Shots:
    """Tells for each frame whether it begins a shot. The first frame does."""

    def __init__(self) -> None:
        self._last: Optional[_Seen] = None

    def begins(self, small: Pixels) -> bool:
        """Whether the frame, uint8 [h,w,3] at `small_size`, begins a shot."""
        planes: list[Any] = [small]
        histogram = cv2.calcHist(planes, [0, 1, 2], None, [_BINS] * 3, [0, 256] * 3)
        gray = cv2.cvtColor(small, cv2.COLOR_BGR2GRAY)
        edges: Mask = np.asarray(cv2.Canny(gray, *_CANNY)) > 0
        seen = _Seen(np.asarray(histogram, np.float32), edges)
        last, self._last = self._last, seen
        if last is None or last.edges.shape != seen.edges.shape:
            return True
        off = cv2.compareHist(last.histogram, seen.histogram, cv2.HISTCMP_BHATTACHARYYA)
        return off > _OTHER or (off > _DOUBTFUL and _change(last.edges, seen.edges) > _NEW_EDGES)


def _change(before: Mask, now: Mask) -> float:
    """The larger share of edges, of those that come and those that go."""
    return max(_far(before, now), _far(now, before))


def _far(edges: Mask, others: Mask) -> float:
    """The share of edges that are near no edge of another picture; 0 without edges."""
    near = cv2.dilate(others.astype(np.uint8), np.ones((_NEAR_PX, _NEAR_PX), np.uint8)) > 0
    return float((edges & ~near).sum() / max(1, edges.sum()))
