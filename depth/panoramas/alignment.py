"""One scale and one shift per view, so that views agree where they overlap.

A view's values are taken as inverse depth d along its optical axis: scale * d + shift is the true
one, up to a factor that all views share. Along a ray it is (scale * d + shift) / k, where k is the
distance along the ray over that along the axis. Views see the same ray under different k, so the
shift of all views together is settled too, unlike that of a single view.

All views are solved at once by least squares, with the mean of the joined values fixed. The worst
fifth of the samples is left out, such as edges that two views place differently. A weak prior of
equal scales settles views that show nothing, such as sky or a wall that faces the camera.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import cv2
import numpy as np
import numpy.typing as npt

from depth.errors import InputError
from depth.maps.result import FloatArray
from depth.panoramas.geometry import View, even_directions, places

AFFINE, SCALE, NONE = "affine", "scale", "none"
ALIGNMENTS = (AFFINE, SCALE, NONE)

_DIRECTIONS = 16_384
_SIDE_PX = 64  # of the views that are sampled: averages have less noise, which would shrink scales
_KEPT = 0.8  # of the samples
_ROUNDS = 8
_FEWEST = 50  # samples between all views
_FIRST = 1e-4  # weight of the prior in the first try
_PATCHES = 5  # errors of a network are smooth: a view has about as many that are independent
_FIRMER = (1.0, 10.0, 100.0, 1e6)  # times the prior, until all scales are over 0
_LEAST = 0.05  # of the mean scale: a view with less has another sense than the others
_SMALL = 1e-9

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Aligned:
    """Per view: inverse depth = scale * value + shift. The scales' geometric mean is 1."""

    scales: tuple[float, ...]
    shifts: tuple[float, ...]


@dataclass(frozen=True)
class _Overlap:
    """What two views say of the rays that both see: values over k [N], and 1 / k [N]."""

    pair: tuple[int, int]
    values: tuple[Doubles, Doubles]
    flat: tuple[Doubles, Doubles]

    def rows(self, views: int) -> Doubles:
        """[N,2V]: what must be 0, linear in all scales and then all shifts."""
        found = np.zeros((len(self.values[0]), 2 * views))
        for view, value, flat, sign in zip(self.pair, self.values, self.flat, (1, -1)):
            found[:, view], found[:, views + view] = sign * value, sign * flat
        return found


def aligned(views: Sequence[View], values: Sequence[FloatArray], method: str) -> Aligned:
    """The scale and shift of each view.

    values  [side,side] per view, inverse depth along the optical axis up to scale and shift
    method  AFFINE, SCALE (all shifts 0) or NONE

    Views that show nothing, or contradict each other with every scale over 0, stay as they are.
    Raises InputError for an unknown method or views that do not overlap.
    """
    if method not in ALIGNMENTS:
        raise InputError(f"alignment {method!r}: expected {', '.join(ALIGNMENTS)}")
    count = len(views)
    unchanged = Aligned((1.0,) * count, (0.0,) * count)
    if method == NONE:
        return unchanged
    pieces = [each.rows(count) for each in _overlaps(views, values)]
    rows = np.concatenate([np.zeros((0, 2 * count)), *pieces])
    if len(rows) < _FEWEST:
        raise InputError(f"{count} views: they hardly overlap; take a wider angle of view")
    size = float(np.abs(rows[:, :count]).sum()) / max(int((rows[:, :count] != 0).sum()), 1)
    if not size:
        return unchanged  # the views show nothing at all
    rows[:, :count] /= size
    solved = _solved(rows if method == AFFINE else rows[:, :count], count)
    scales = solved[:count] / size
    if not scales.min() > 0:
        return unchanged  # the views contradict each other whatever is done
    shifts = solved[count:] if method == AFFINE else np.zeros(count)
    unit = float(np.exp(np.log(scales).mean()))
    return Aligned(tuple((scales / unit).tolist()), tuple((shifts / unit).tolist()))


def _solved(rows: Doubles, count: int) -> Doubles:
    """[P]: scales over 0, and shifts. The prior is as strong as samples contradict each other."""
    differences = _differences(count, rows.shape[1])
    off = np.abs(rows @ _trimmed(rows, differences * math.sqrt(_FIRST)))
    # Aligned values are near a half.
    error = 4 * float(np.mean(np.square(off[off <= np.quantile(off, _KEPT)])))
    weight = max(error / _PATCHES, _SMALL)
    for firmer in _FIRMER:
        found = _trimmed(rows, differences * math.sqrt(weight * firmer))
        if found[:count].min() > _LEAST * abs(found[:count].mean()):
            break
    return found


def _overlaps(views: Sequence[View], values: Sequence[FloatArray]) -> Iterator[_Overlap]:
    rays = even_directions(_DIRECTIONS)
    seen, along, flat = [], [], []
    for view, each in zip(views, values):
        x, y, inside = places(view, rays)
        small = cv2.resize(each, (_SIDE_PX, _SIDE_PX), interpolation=cv2.INTER_AREA)
        across, down = (_px(np.where(inside, axis, 0)) for axis in (x, y))
        closer = 1 / np.sqrt(1 + (x.astype(np.float64) ** 2 + y**2) * view.half**2)
        seen.append(inside)
        flat.append(closer)
        along.append(cv2.remap(small, across, down, cv2.INTER_LINEAR).ravel() * closer)
    for a, b in combinations(range(len(views)), 2):
        both = seen[a] & seen[b]
        if both.any():
            yield _Overlap((a, b), (along[a][both], along[b][both]), (flat[a][both], flat[b][both]))


def _px(place: FloatArray) -> FloatArray:
    """From -1 to 1 in a view, to px of a reduced view."""
    return np.clip((place + 1) * np.float32(_SIDE_PX / 2) - np.float32(0.5), 0, _SIDE_PX - 1)


def _differences(count: int, columns: int) -> Doubles:
    """[P,columns]: of all pairs of scales, each as heavy as one P-th of what it is added to."""
    pairs = list(combinations(range(count), 2))
    found = np.zeros((len(pairs), columns))
    for row, (a, b) in zip(found, pairs):
        row[a], row[b] = 1, -1
    return found / np.sqrt(len(pairs))


def _trimmed(rows: Doubles, prior: Doubles) -> Doubles:
    """The solution without the worst samples, which it chooses itself in rounds."""
    mean = np.abs(rows).mean(axis=0)
    kept = np.ones(len(rows), np.bool_)
    solved = _least(rows, prior, mean)
    for _ in range(_ROUNDS):
        off = np.abs(rows @ solved)
        before, kept = kept, off <= np.quantile(off, _KEPT)
        solved = _least(rows[kept], prior, mean)
        if np.array_equal(before, kept):
            break
    return solved


def _least(rows: Doubles, prior: Doubles, mean: Doubles) -> Doubles:
    """[P]: x that minimises |rows x|^2 per row, and |prior x|^2, where mean x = 1."""
    square = rows.T @ rows / len(rows) + prior.T @ prior
    # What nothing settles, such as the shift of views that all see a ray alike, stays small.
    square += np.eye(len(square)) * (np.trace(square) / len(square) * _SMALL)
    found = np.linalg.solve(square, mean)
    return found / (mean @ found)
