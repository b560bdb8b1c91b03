"""The sphere of a panorama, and pinhole views of it.

Axes of the world and of views are OpenCV's: x to the right, y down, z ahead. The middle of the
panorama is ahead. A column is a longitude, growing to the right; a row is a latitude, from +90
degrees at the top edge to -90 degrees at the bottom edge. Pixels are counted from the first pixel's
centre, which lies half a pixel inside both edges.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from depth.errors import InputError
from depth.maps.result import FloatArray
from depth.sizes import Size

_RATIO, _TOLERANCE = 2.0, 0.01  # width to height, and how far from it is still a whole sphere

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True)
class View:
    """A square pinhole view out of the middle of the sphere.

    yaw_deg    of its optical axis, to the right
    pitch_deg  of its optical axis, up
    fov_deg    its angle of view, both ways
    """

    name: str
    yaw_deg: float
    pitch_deg: float
    fov_deg: float

    @property
    def half(self) -> float:
        """Half its side on the plane at distance 1."""
        return math.tan(math.radians(self.fov_deg) / 2)

    @property
    def rotation(self) -> Doubles:
        """[3,3]: from directions in the view to directions in the world."""
        yaw, pitch = math.radians(self.yaw_deg), math.radians(self.pitch_deg)
        right, ahead, up, level = math.sin(yaw), math.cos(yaw), math.sin(pitch), math.cos(pitch)
        turn = np.array([[ahead, 0, right], [0, 1, 0], [-right, 0, ahead]])
        return turn @ np.array([[1, 0, 0], [0, level, -up], [0, up, level]])

    def focal_px(self, side_px: int) -> float:
        """Its focal length in px, for a side of this length in px."""
        return side_px / 2 / self.half

    def intrinsics(self, side_px: int) -> Doubles:
        """[3,3], with the principal point counted from the first pixel's centre."""
        focal, middle = self.focal_px(side_px), (side_px - 1) / 2
        return np.array([[focal, 0, middle], [0, focal, middle], [0, 0, 1]])


class Places(NamedTuple):
    """Where directions meet the plane of a view at distance 1.

    x, y    float32; of any value where `inside` is false
    inside  bool: the direction is in the view
    """

    x: FloatArray
    y: FloatArray
    inside: npt.NDArray[np.bool_]

    @property
    def weight(self) -> FloatArray:
        """1 in the middle of a view of `half` 1, falling to 0 at its edges by cosines."""
        return _falling(self.x) * _falling(self.y)


def _falling(place: FloatArray) -> FloatArray:
    found: FloatArray = np.cos(place * np.float32(np.pi / 2))
    return found


def check_whole_sphere(height_px: int, width_px: int) -> None:
    """Raises InputError unless an image is twice as wide as high, as a whole sphere is."""
    if abs(width_px / height_px / _RATIO - 1) > _TOLERANCE:
        raise InputError(
            f"{width_px}x{height_px} px: an equirectangular panorama is twice as wide as high. Pad "
            "a part of a sphere to the whole, or take inference.py for an ordinary photograph"
        )


def longitudes(width_px: int) -> Doubles:
    """[W]: of each column, in radians from the middle."""
    return ((np.arange(width_px) + 0.5) / width_px - 0.5) * 2 * np.pi


def latitudes(height_px: int) -> Doubles:
    """[H]: of each row, in radians up from the horizon."""
    return (0.5 - (np.arange(height_px) + 0.5) / height_px) * np.pi


def directions(size: Size) -> FloatArray:
    """[H,W,3] float32: the unit vector of each pixel of a panorama of (height, width) px."""
    return toward(latitudes(size[0]), longitudes(size[1]))


def toward(up: Doubles, across: Doubles) -> FloatArray:
    """[h,w,3] float32: the unit vectors of h latitudes and w longitudes in radians."""
    level, down = np.cos(up)[:, np.newaxis], -np.sin(up)[:, np.newaxis]
    x, z = level * np.sin(across), level * np.cos(across)
    return np.stack([x, np.broadcast_to(down, x.shape), z], 2).astype(np.float32)


def even_directions(count: int) -> FloatArray:
    """[N,3] float32: unit vectors with equal areas of the sphere, along a spiral (Vogel, 1979)."""
    turn = np.arange(count) * (np.pi * (3 - math.sqrt(5)))
    down = 1 - (2 * np.arange(count) + 1) / count
    level = np.sqrt(1 - down**2)
    return np.stack([level * np.sin(turn), down, level * np.cos(turn)], 1).astype(np.float32)


def places(view: View, rays: FloatArray) -> Places:
    """Where directions [...,3] of the world meet a view, in halves of its side: -1 to 1."""
    local = rays @ view.rotation.astype(np.float32)
    ahead = local[..., 2]
    in_front = ahead > 0
    scale = 1 / (np.where(in_front, ahead, 1) * np.float32(view.half))
    x, y = local[..., 0] * scale, local[..., 1] * scale
    return Places(x, y, in_front & (np.abs(x) < 1) & (np.abs(y) < 1))


def plane(view: View, side_px: int) -> FloatArray:
    """[side]: x, or y, of each pixel's centre on the plane at distance 1."""
    centres = (np.arange(side_px) + 0.5) / side_px * 2 - 1
    return (centres * view.half).astype(np.float32)


def slant(view: View, side_px: int) -> FloatArray:
    """[side,side]: distance along the ray of each pixel over distance along the optical axis."""
    x = plane(view, side_px).astype(np.float64)
    return np.sqrt(1 + x**2 + x[:, np.newaxis] ** 2).astype(np.float32)


def rays(view: View, side_px: int) -> FloatArray:
    """[side,side,3]: the direction in the world of each pixel, of length `slant`."""
    x, y = np.meshgrid(plane(view, side_px), plane(view, side_px))
    local = np.stack([x, y, np.ones_like(x)], 2)
    return (local @ view.rotation.T).astype(np.float32)
