"""Network output back to the image's size. Without torch."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from depth.maps.result import FloatArray

_ROWS = 32  # rows interpolated at a time: fresh pages and a full cache cost more than the sums


def resize_depth(values: FloatArray, size: tuple[int, int]) -> FloatArray:
    """[h,w] float32 to [H,W] for size (H, W) px, bilinear with aligned corners.

    The same interpolation as upstream's `F.interpolate(..., align_corners=True)`; OpenCV's
    `resize` aligns pixel edges instead, and its `remap` rounds positions to 1/32 px.
    """
    height, width = size
    wide = _widened(values, width)
    top, bottom, down = _taps(len(wide), height)
    result = np.empty(size, np.float32)
    for start in range(0, height, _ROWS):
        rows = slice(start, start + _ROWS)
        upper = wide[top[rows]]
        part = np.subtract(wide[bottom[rows]], upper, out=result[rows])
        part *= down[rows, None]
        part += upper
    return result


def _widened(values: FloatArray, width: int) -> FloatArray:
    """[h,w] to [h,W]. Row by row: all at once, numpy would lay the gathered columns out as rows."""
    left, right, across = _taps(values.shape[1], width)
    first = 1 - across
    result = np.empty((len(values), width), np.float32)
    for row, part in zip(values, result):
        np.multiply(row[left], first, out=part)
        part += row[right] * across
    return result


def _taps(
    source: int, target: int
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], FloatArray]:
    """For every target position: the two source positions and the weight of the second."""
    # In float32 like torch: at position 700 its rounding moves the weights by up to 6e-5.
    step = np.float32((source - 1) / (target - 1)) if target > 1 else np.float32(0)
    position = np.arange(target, dtype=np.float32) * step
    low = np.minimum(position.astype(np.intp), source - 1)
    high = np.minimum(low + 1, source - 1)
    return low, high, position - low.astype(np.float32)
