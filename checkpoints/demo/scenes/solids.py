"""Solids and where a ray meets them, exactly, for many rays at once.

A solid is a unit form (box, ball, cylinder, plane) moved by a centre, a rotation and three half
sizes. Rays are taken into its own frame, where every form but the plane is an overlap of intervals.

World: x right, y up, z forward, metres. Camera: x right, y down, z along the optical axis. A ray's
direction has z = 1 in the camera's frame, so the ray parameter t *is* the depth along that axis.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]
Vectors = tuple[FloatArray, FloatArray, FloatArray]  # x, y, z; each broadcasts with the others

NEAREST_M = 0.05  # closer surfaces are not seen
TINY = np.float32(1e-9)

BOX, BALL, CYLINDER, PLANE, ROOM = "box", "ball", "cylinder", "plane", "room"


def vector(values: npt.ArrayLike) -> FloatArray:
    """Values as float32."""
    return np.asarray(values, np.float32)


@dataclass(frozen=True)
class Material:
    """A texture tile painted between two colours (BGR, 0..1)."""

    colours: npt.NDArray[np.float32]  # [2,3]
    texture: int  # index into the texture bank
    tile_m: float
    gloss: float = 0.0


@dataclass(frozen=True)
class Solid:
    """One form in the world. A room is a box seen from inside; a plane is y = 0 of its frame."""

    form: str
    centre: FloatArray  # [3], metres
    rotation: FloatArray  # [3,3], columns are its axes in the world
    half: FloatArray  # [3], metres
    material: Material
    casts_shadow: bool = True

    @property
    def to_local(self) -> FloatArray:
        """[3,3]: world directions into the frame in which the form has unit size."""
        local: FloatArray = self.rotation.T / self.half[:, None]
        return local


def intersect(form: str, origin: Vectors, direction: Vectors) -> FloatArray:
    """Ray parameter of the first visible surface; inf where the ray misses.

    Origin and direction are in the solid's frame; their components broadcast.
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        if form == PLANE:
            t = -origin[1] / direction[1]
            return np.where(t > NEAREST_M, t, np.inf).astype(np.float32, copy=False)
        near, far = INTERVALS[form](origin, direction)
        if form == ROOM:
            return far
        return np.where((near < far) & (near > NEAREST_M), near, np.inf).astype(
            np.float32, copy=False
        )


def _slab(origin: FloatArray, direction: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Where a ray is within -1..1 of one axis."""
    inverse = 1 / np.where(np.abs(direction) < TINY, TINY, direction)
    middle = -origin * inverse
    reach = np.abs(inverse)
    return middle - reach, middle + reach


def _box(origin: Vectors, direction: Vectors) -> tuple[FloatArray, FloatArray]:
    near, far = _slab(origin[0], direction[0])
    for axis in (1, 2):
        low, high = _slab(origin[axis], direction[axis])
        near, far = np.maximum(near, low), np.minimum(far, high)
    return near, far


def _round(
    origin: Vectors, direction: Vectors, axes: tuple[int, ...]
) -> tuple[FloatArray, FloatArray]:
    """Where a ray is within distance 1 of the axis (or point) that `axes` leaves.

    Measured from the point of closest approach: the textbook quadratic loses half of float32's
    digits on small far solids.
    """
    square = sum(direction[i] * direction[i] for i in axes)
    closest = -sum(origin[i] * direction[i] for i in axes) / square
    offset = sum((origin[i] + closest * direction[i]) ** 2 for i in axes)
    reach = np.sqrt((1 - offset) / square)  # nan where it misses: no comparison is then true
    return closest - reach, closest + reach


def _ball(origin: Vectors, direction: Vectors) -> tuple[FloatArray, FloatArray]:
    return _round(origin, direction, (0, 1, 2))


def _cylinder(origin: Vectors, direction: Vectors) -> tuple[FloatArray, FloatArray]:
    near, far = _round(origin, direction, (0, 2))
    low, high = _slab(origin[1], direction[1])
    return np.maximum(near, low), np.minimum(far, high)


INTERVALS = {BOX: _box, ROOM: _box, BALL: _ball, CYLINDER: _cylinder}


def normals(solid: Solid, local: FloatArray) -> FloatArray:
    """Unit normals in the world, [n,3], at surface points [n,3] of the solid's frame."""
    if solid.form == PLANE:
        frame = np.zeros_like(local)
        frame[:, 1] = 1
    elif solid.form == BALL:
        frame = local / solid.half
    elif solid.form == CYLINDER:
        frame = local / solid.half
        cap = np.abs(local[:, 1]) > 0.999
        frame[cap] *= vector([0, 1, 0])
        frame[~cap] *= vector([1, 0, 1])
    else:
        axis = np.abs(local).argmax(axis=1)
        rows = np.arange(len(local))
        frame = np.zeros_like(local)
        frame[rows, axis] = np.sign(local[rows, axis])
        if solid.form == ROOM:
            frame *= -1
    frame /= np.maximum(np.linalg.norm(frame, axis=1, keepdims=True), TINY)
    turned: FloatArray = frame @ solid.rotation.T
    return turned


def surface_m(solid: Solid, local: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Two coordinates on the surface, metres, for laying a texture."""
    at = local * solid.half
    if solid.form == PLANE:
        return at[:, 0], at[:, 2]
    if solid.form == CYLINDER:
        around = np.arctan2(local[:, 0], local[:, 2]) * solid.half[0]
        cap = np.abs(local[:, 1]) > 0.999
        return np.where(cap, at[:, 0], around), np.where(cap, at[:, 2], at[:, 1])
    axis = np.abs(local).argmax(axis=1)
    # Walls keep their height as the second coordinate, so that bricks lie flat on every side.
    return np.where(axis == 0, at[:, 2], at[:, 0]), np.where(axis == 1, at[:, 2], at[:, 1])
