"""Distances of one view -> points and triangles, less the sky and the edges of things.

Axes are those of glTF and OpenGL: right-handed, x to the right, y up, the camera at the origin
looks along -z. A front face is counter-clockwise as the camera sees it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Optional

import numpy as np
import numpy.typing as npt

from depth.errors import InputError
from depth.maps.result import FloatArray, Map

MAX_POINTS = 400_000  # so that files stay below some 25 MB
SKY_FROM = 0.3  # sky where the sky map is at least this, as Depth Anything 3 has it
EDGE_RATIO = 1.08  # a triangle whose farthest corner is farther than this times its nearest is none

Indices = npt.NDArray[np.uint32]
Focal = Optional[tuple[float, float]]


@dataclass(frozen=True)
class Surface:
    """Points, and the triangles between them.

    points     [N,3] float32
    places     [N,2] float32, (x, y) of each point in px of the map, from the first pixel's centre
    triangles  [M,3] uint32
    stride     step in rows and columns of the map between neighbouring points
    dropped    points by reason: `sky`, `no_distance`, `edge`
    """

    points: FloatArray
    places: FloatArray
    triangles: Indices
    stride: int
    dropped: dict[str, int]


def surface(z: FloatArray, focal: Focal, sky: Map | None = None, most: int = MAX_POINTS) -> Surface:
    """The surface of distances [H,W]. A point stays if it is the corner of a triangle that stays.

    focal  (fx, fy) in px of the map; None for a panorama, whose distances are along the rays
    sky    a map of the same size, or None
    most   how many points at most; more are thinned out, every n-th row and column stays

    Raises InputError if nothing is left, or the sky has another size.
    """
    if sky is not None and sky.values.shape != z.shape:
        raise InputError(
            f"the sky map is {sky.values.shape}, depth is {z.shape}: expected one size"
        )
    stride = max(1, math.ceil(math.sqrt(z.size / most)))
    thin = slice(None, None, stride)
    grid = z[thin, thin]
    is_sky = np.zeros(grid.shape, bool) if sky is None else sky.values[thin, thin] >= SKY_FROM
    there = grid > 0
    kept, triangles = _compact(_triangles(grid, there & ~is_sky), grid.size)
    if not len(kept):
        raise InputError(
            f"no surface is left of {z.shape[1]} x {z.shape[0]} px: all is sky or an edge, or the "
            "map has only one row or column"
        )
    rows, columns = np.divmod(kept, grid.shape[1])
    places = np.stack([columns, rows], 1).astype(np.float32) * np.float32(stride)
    dropped = {"sky": int(is_sky.sum()), "no_distance": int((~there & ~is_sky).sum())}
    dropped["edge"] = grid.size - len(kept) - sum(dropped.values())
    points = _points(places, grid.ravel()[kept], focal, z.shape)
    return Surface(points, places, triangles, stride, dropped)


def _triangles(z: FloatArray, usable: npt.NDArray[np.bool_]) -> npt.NDArray[np.intp]:
    """[M,3]: two for each square of neighbours, where no corner is missing and no edge passes."""
    number = np.arange(z.size).reshape(z.shape)
    corners = number[:-1, :-1], number[1:, :-1], number[:-1, 1:], number[1:, 1:]
    above_left, below_left, above_right, below_right = (corner.ravel() for corner in corners)
    upper = np.stack([above_left, below_left, above_right], 1)
    lower = np.stack([above_right, below_left, below_right], 1)
    found = np.concatenate([upper, lower])
    found = found[usable.ravel()[found].all(1)]
    depth = z.ravel()[found]
    return found[depth.max(1) <= depth.min(1) * np.float32(EDGE_RATIO)]


def _compact(triangles: npt.NDArray[np.intp], count: int) -> tuple[npt.NDArray[np.intp], Indices]:
    """The grid points that triangles use, and the triangles by the places in that list."""
    used = np.zeros(count, bool)
    used[triangles] = True
    kept = np.flatnonzero(used)
    number = np.zeros(count, np.uint32)
    number[kept] = np.arange(len(kept), dtype=np.uint32)
    return kept, number[triangles]


def _points(places: FloatArray, z: FloatArray, focal: Focal, size: tuple[int, ...]) -> FloatArray:
    """[N,3]. The optical axis goes through the middle of the map."""
    if focal is None:
        return _on_sphere(places, z, size)
    middle = np.array([(size[1] - 1) / 2, (size[0] - 1) / 2], np.float32)
    across = (places - middle) / np.array(focal, np.float32) * z[:, np.newaxis]
    return np.stack([across[:, 0], -across[:, 1], -z], 1).astype(np.float32, copy=False)


def _on_sphere(places: FloatArray, distance: FloatArray, size: tuple[int, ...]) -> FloatArray:
    """[N,3] of a panorama, whose middle is ahead."""
    height, width = size
    across = ((places[:, 0] + 0.5) / width - 0.5) * 2 * np.pi
    up = (0.5 - (places[:, 1] + 0.5) / height) * np.pi
    level = np.cos(up)
    rays = np.stack([level * np.sin(across), np.sin(up), -level * np.cos(across)], 1)
    return (rays * distance[:, np.newaxis]).astype(np.float32)
