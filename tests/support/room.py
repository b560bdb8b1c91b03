"""A room of known depth: a box with balls in it, seen from a place inside by rays."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from depth.maps.result import FloatArray
from depth.panoramas.geometry import View, directions, rays, slant
from depth.sizes import Size

# Corners of the box and balls (x, y, z, radius) in metres; the camera is at 0, y is down.
_LOW, _HIGH = np.array([-2.0, -1.2, -3.0]), np.array([3.0, 1.6, 2.5])
_BALLS = (
    (0.8, 0.9, 1.6, 0.6),
    (-1.2, 0.2, 0.9, 0.4),
    (1.5, 0.6, -1.4, 0.7),
    (-0.9, 1.0, -1.8, 0.5),
    (0.1, -0.9, -0.2, 0.2),
)
_COLOURS = ((60, 90, 220), (70, 200, 90), (210, 140, 40), (40, 190, 220), (200, 80, 190))
_WALLS = ((120, 150, 170), (150, 165, 175), (100, 120, 150))  # BGR of x, y and z

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Seen:
    """What rays [...,3] meet: the distance in units of each ray's length, and its colour, BGR."""

    distance: Doubles
    colour: npt.NDArray[np.uint8]


def seen(along: FloatArray) -> Seen:
    """What rays from the camera meet first."""
    ray = along.astype(np.float64)
    with np.errstate(divide="ignore"):
        walls = np.where(ray > 0, _HIGH, _LOW) / ray
    axis = np.abs(walls).argmin(-1)
    distance = np.take_along_axis(walls, axis[..., None], -1)[..., 0]
    point = ray * distance[..., None]
    checks = (np.floor(point * 2 + 0.01).sum(-1) % 2)[..., None]
    colour = np.array(_WALLS)[axis] * (0.75 + 0.25 * checks)
    for (*centre, radius), ball_colour in zip(_BALLS, _COLOURS):
        half = ray @ np.array(centre)
        square = (ray**2).sum(-1)
        inside = half**2 - square * (np.dot(centre, centre) - radius**2)
        near = (half - np.sqrt(np.maximum(inside, 0))) / square
        hit = (inside > 0) & (near > 0) & (near < distance)
        normal = (ray * near[..., None] - centre) / radius
        light = 0.6 + 0.4 * np.clip(-normal[..., 1], -0.5, 1)
        distance = np.where(hit, near, distance)
        colour = np.where(hit[..., None], np.array(ball_colour) * light[..., None], colour)
    return Seen(distance, np.clip(colour, 0, 255).astype(np.uint8))


def panorama(size: Size) -> Seen:
    """The room as (height, width) px of a panorama: distances in metres."""
    return seen(directions(size))


def picture(size: Size) -> npt.NDArray[np.uint8]:
    """The same in colours, BGR, smooth at edges."""
    fine = panorama((2 * size[0], 2 * size[1])).colour
    return cv2.resize(fine, size[::-1], interpolation=cv2.INTER_AREA).astype(np.uint8)


def depth_of(view: View, side_px: int) -> FloatArray:
    """[side,side]: metres along the optical axis of a view, by its own rays."""
    return seen(rays(view, side_px)).distance.astype(np.float32)


def distorted(view: View, side_px: int, rng: np.random.Generator, noise: float) -> FloatArray:
    """Inverse depth of a view with a scale and a shift of its own, and relative noise."""
    inverse = 1 / depth_of(view, side_px)
    noisy = inverse * (1 + noise * rng.standard_normal(inverse.shape))
    return (rng.uniform(0.5, 2) * noisy + rng.uniform(-0.3, 0.3)).astype(np.float32)


__all__ = ["Seen", "depth_of", "distorted", "panorama", "picture", "seen", "slant"]
