"""Values of a panorama in any direction: bilinear, closed behind and across the poles."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from depth.images.read import Pixels
from depth.maps.result import FloatArray
from depth.panoramas.geometry import View, rays

_PAD = 2  # rows and columns beyond each edge, for the neighbours of its pixels
_DENSER = 1.5  # px of the panorama to px of a view in its middle: more would be left out

Values = npt.NDArray[Any]  # uint8 or float32


class Sphere:
    """A panorama [H,W] or [H,W,3], uint8 or float32, as values in directions. OpenCV's `remap`
    rounds positions to 1/32 px.
    """

    def __init__(self, values: Values) -> None:
        self._size = values.shape[:2]
        self._padded = _padded(values)

    def along(self, directions: FloatArray) -> Values:
        """The values [h,w] or [h,w,3] in directions [h,w,3] of any length."""
        height, width = self._size
        x, y, z = (directions[..., axis] for axis in range(3))
        across = np.arctan2(x, z) / np.float32(2 * np.pi) + np.float32(0.5)
        down = np.arctan2(y, np.hypot(x, z)) / np.float32(np.pi) + np.float32(0.5)
        return cv2.remap(
            self._padded,
            (across * width + np.float32(_PAD - 0.5)).astype(np.float32, copy=False),
            (down * height + np.float32(_PAD - 0.5)).astype(np.float32, copy=False),
            cv2.INTER_LINEAR,
        )


def seen_in(pixels: Pixels, views: tuple[View, ...], side_px: int) -> list[Pixels]:
    """Each view [side,side,3] of a panorama [H,W,3] uint8.

    A panorama with finer px than the views is reduced before, by averages, so that nothing
    flickers between them.
    """
    sphere = Sphere(reduced(pixels, views[0].focal_px(side_px)))
    return [sphere.along(rays(view, side_px)) for view in views]


def width_for(view: View, side_px: int) -> int:
    """Width in px of a panorama with px as fine as those in the middle of a view; even."""
    return 2 * max(1, round(math.pi * view.focal_px(side_px)))


def reduced(pixels: Pixels, focal_px: float) -> Pixels:
    """By averages, if its px are finer than those in the middle of a view of this focal length."""
    width = 2 * math.ceil(math.pi * focal_px * _DENSER)
    if width >= pixels.shape[1]:
        return pixels
    height = max(1, round(pixels.shape[0] * width / pixels.shape[1]))
    small = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
    return small.astype(np.uint8, copy=False)


def _padded(values: Values) -> Values:
    """With the columns from behind at both sides, and the rows across each pole."""
    half = values.shape[1] // 2
    rows = min(_PAD, len(values))
    above = np.roll(values[:rows][::-1], half, 1)
    below = np.roll(values[-rows:][::-1], half, 1)
    tall = np.concatenate([above, values, below])
    if rows < _PAD:
        spare = [(_PAD - rows,) * 2, *[(0, 0)] * (values.ndim - 1)]
        tall = np.pad(tall, spare, mode="edge")
    columns = [(0, 0), (_PAD, _PAD), *[(0, 0)] * (values.ndim - 2)]
    return np.pad(tall, columns, mode="wrap")
