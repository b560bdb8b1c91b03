"""Planes of overlapping views -> one panorama, without a seam, band by band.

Each view counts by cosines: fully in its middle, not at all at its edges. So no edge of a view is
visible, and the panorama is closed behind and at the poles.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from depth.maps.result import FloatArray
from depth.panoramas.geometry import Doubles, View, latitudes, longitudes, places, toward
from depth.sizes import Size

_ROWS = 32  # of a band: what is computed at a time stays in the cache
_TINY = 1e-12


@dataclass(frozen=True)
class Blended:
    """A panorama of (height, width) px.

    values  [H,W,C] float32
    spread  [H,W] float32: how far views differ in the first channel, as a standard deviation
    views   [H,W] float32: how many views count, by their weights: from 1 to about 3
    """

    values: FloatArray
    spread: FloatArray
    views: FloatArray


def blended(views: Sequence[View], planes: Sequence[FloatArray], size: Size) -> Blended:
    """The weighted mean of the planes [side,side,C] of views that see every direction."""
    height, width = size
    channels = planes[0].shape[2]
    found = Blended(
        np.empty((height, width, channels), np.float32),
        np.empty(size, np.float32),
        np.empty(size, np.float32),
    )
    up, across = latitudes(height), longitudes(width)
    for start in range(0, height, _ROWS):
        rows = slice(start, min(start + _ROWS, height))
        sums = np.zeros((rows.stop - start, width, channels + 3))
        for view, plane in zip(views, planes):
            for columns in _columns(view, up[rows], width):
                sums[:, columns] += _weighted(view, plane, up[rows], across[columns])
        square, weight, weight_square = np.moveaxis(sums[..., channels:], -1, 0)
        weight = np.maximum(weight, _TINY)
        mean = sums[..., :channels] / weight[..., np.newaxis]
        found.values[rows] = mean
        found.spread[rows] = np.sqrt(np.maximum(square / weight - mean[..., 0] ** 2, 0))
        found.views[rows] = weight**2 / np.maximum(weight_square, _TINY**2)
    return found


def _weighted(view: View, plane: FloatArray, up: Doubles, across: Doubles) -> Doubles:
    """[h,w,C+3]: weight * values, weight * first value squared, weight, weight squared."""
    at = places(view, toward(up, across))
    side = len(plane)
    x, y = (((axis + 1) * np.float32(side / 2) - np.float32(0.5)) for axis in at[:2])
    sampled = cv2.remap(plane, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    weight = np.where(at.inside, at.weight, 0).astype(np.float64)[..., np.newaxis]
    values = sampled.reshape(*weight.shape[:2], -1).astype(np.float64)
    return np.concatenate(
        [weight * values, weight * values[..., :1] ** 2, weight, weight**2], axis=2
    )


def _columns(view: View, up: Doubles, width: int) -> Iterator[slice]:
    """The columns in which a view may have pixels of some rows, in one piece or two."""
    reach = math.cos(math.atan(view.half * math.sqrt(2)))  # cosine of the angle to its corners
    axis = math.radians(view.pitch_deg)
    height = np.sin(up) * math.sin(axis)
    level = np.maximum(np.cos(up) * math.cos(axis), _TINY)
    beside = float(((reach - height) / level).min())  # cosine of the longitude to its axis
    if beside > 1:
        return
    if beside <= -1:
        yield slice(0, width)
        return
    middle = (view.yaw_deg / 360 + 0.5) * width - 0.5
    half = math.acos(beside) / (2 * math.pi) * width
    start, stop = math.floor(middle - half), math.ceil(middle + half) + 1
    if stop - start >= width:
        yield slice(0, width)
        return
    for turn in (-width, 0, width):
        first, last = max(start + turn, 0), min(stop + turn, width)
        if first < last:
            yield slice(first, last)
