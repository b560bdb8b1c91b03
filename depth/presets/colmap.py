"""COLMAP's dense files: a depth map, and the normal map that its fusion wants beside it."""

from __future__ import annotations

import numpy as np

from depth.maps.result import FloatArray
from depth.presets.shot import Pinhole
from depth.presets.values import Doubles, Mask, Numbers

_ROWS = 256  # that are worked on at once, so that memory stays small


def encode_mat(values: FloatArray) -> bytes:
    """COLMAP's Mat<float>: `width&height&channels&`, then rows of little-endian float32.

    values  [H,W], or [C,H,W] channel after channel
    """
    channels, height, width = (1, *values.shape)[-3:]
    header = f"{width}&{height}&{channels}&".encode()
    return b"".join((header, np.ascontiguousarray(values, "<f4").data))


def normals_of(numbers: Numbers, camera: Pinhole) -> FloatArray:
    """Normals [3,H,W] of length 1 in the camera's axes: x right, y down, z forward.

    numbers  distances along the optical axis [H,W]
    camera   px of the same grid

    They point towards the camera. Of a plane they are exact, since the inverse distance of a plane
    is linear in px. Each slope is the smaller of those to both neighbours, so that edges of depth
    stay sharp. Without depth the normal is 0.
    """
    height, width = numbers.values.shape
    normals = np.empty((3, height, width), np.float32)
    for top in range(0, height, _ROWS):
        first, last = max(top - 1, 0), min(top + _ROWS + 1, height)  # a row more at both sides
        found = _away(numbers.values[first:last], numbers.valid[first:last], camera, first)
        np.negative(found[:, top - first :][:, :_ROWS], out=normals[:, top : top + _ROWS])
    return normals


def _away(values: FloatArray, valid: Mask, camera: Pinhole, first: int) -> Doubles:
    """Normals [3,H,W] away from the camera, of rows from `first` on."""
    inverse = np.zeros(values.shape)
    np.divide(1.0, values, out=inverse, where=valid)
    down, right = (_slope(inverse, valid, axis) for axis in (0, 1))
    height, width = inverse.shape
    x, y = np.arange(width) - camera.cx, np.arange(first, first + height)[:, None] - camera.cy
    away = np.stack([camera.fx * right, camera.fy * down, inverse - x * right - y * down])
    np.divide(away, np.linalg.norm(away, axis=0), out=away, where=valid)
    away[:, ~valid] = 0
    return away


def _slope(values: Doubles, valid: Mask, axis: int) -> Doubles:
    """The smaller step to a valid neighbour along an axis; 0 where neither has depth."""
    values, valid = np.moveaxis(values, axis, 0), np.moveaxis(valid, axis, 0)
    steps = np.full((len(values) + 1, *values.shape[1:]), np.inf)
    np.subtract(values[1:], values[:-1], out=steps[1:-1], where=valid[1:] & valid[:-1])
    before, after = steps[:-1], steps[1:]
    found = np.where(np.abs(before) < np.abs(after), before, after)
    return np.moveaxis(np.where(np.isfinite(found), found, 0), 0, axis)
