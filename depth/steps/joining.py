"""Windows of a long sequence, moved into one space by the frames that two of them share.

Such a frame has a depth map in either window, so each of its pixels is a point in both spaces. The
similarity transform between the points is fitted by least squares, with weights that fall where a
point does not fit: moving things and wrong depth do not count.

Shapes: S views | H W pixels | P points | extrinsics [S,3,4], world to camera
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from depth.maps.result import FloatArray
from depth.steps.alignment import Similarity, moved
from depth.steps.cameras import nearest_rotation, other_way
from depth.steps.views import Views

logger = logging.getLogger(__name__)

Doubles = npt.NDArray[np.float64]

_TINY = 1e-12


@dataclass(frozen=True)
class Joining:
    """The parameters of `joined`."""

    most_points: int = 20_000
    fewest_points: int = 16  # with fewer, the cameras alone decide
    surest: float = 0.5  # share of the pixels that count, by their confidence in both windows
    rounds: int = 30  # of the fit, at most
    settled: float = 1e-10  # change of the scale, below which the fit ends
    outlier: float = 2.0  # times the usual error: from here on a point counts less


DEFAULT = Joining()


@dataclass(frozen=True, eq=False)
class Joint:
    """How a window moves into the space of the window before.

    move   from the window's space to that of the window before
    error  the median distance of a point from its place there, as a share of its depth
    """

    move: Similarity
    error: float


@dataclass(frozen=True, eq=False)
class _Points:
    wanted: Doubles  # [P,3]
    given: Doubles  # [P,3]
    weights: Doubles  # [P]: by confidence
    depth: Doubles  # [P], of both spaces, in the scale of the wanted space: errors grow with it

    def off(self, move: Similarity) -> Doubles:
        """[P]: how far each point is from its place, as a share of its depth."""
        there = move.scale * self.given @ move.rotation.T + move.shift
        return np.linalg.norm(there - self.wanted, axis=1) / self.depth


def joined(wanted: Views, given: Views, step: Joining = DEFAULT) -> Joint:
    """How the views of a window move onto the same views, in the same order, of the window before.

    wanted  as the window before has them, in the space that stays
    given   as the window has them

    With too few sure points, the cameras decide, which the log says.
    """
    first = _by_cameras(wanted, given)
    points = _points(wanted, given, first.scale, step)
    if len(points.depth) < step.fewest_points:
        logger.warning("%d sure points are shared: the cameras join", len(points.depth))
        return Joint(first, float("inf"))
    move, relative = first, points.weights / points.depth**2
    for _ in range(step.rounds):
        off = points.off(move)
        usual = max(_median(off, points.weights), _TINY)
        fits = np.minimum(1, step.outlier * usual / np.maximum(off, _TINY)) ** 2
        before, move = move, _fitted(points, relative * fits)
        if abs(move.scale / before.scale - 1) < step.settled:
            break
    return Joint(move, _median(points.off(move), points.weights))


def moved_views(views: Views, move: Similarity) -> Views:
    """The views in another space; rays stay out."""
    return replace(
        views,
        depth=(views.depth * move.scale).astype(np.float32),
        extrinsics=moved(move, views.extrinsics)[:, :3].astype(np.float32),
        rays=None,
    )


def some_views(views: Views, which: slice) -> Views:
    """Some of the views of a scene; rays stay out."""
    return replace(
        views,
        depth=views.depth[which],
        confidence=views.confidence[which],
        extrinsics=views.extrinsics[which],
        intrinsics=views.intrinsics[which],
        rays=None,
    )


def _by_cameras(wanted: Views, given: Views) -> Similarity:
    """From the cameras, and the ratios of depth. Half of the pixels may be wrong."""
    both = (wanted.depth > 0) & (given.depth > 0)
    ratios = wanted.depth[both].astype(np.float64) / given.depth[both]
    scale = float(np.median(ratios)) if ratios.size else 1.0
    ours, theirs = _to_world(wanted.extrinsics), _to_world(given.extrinsics)
    turned = (ours[:, :, :3] @ theirs[:, :, :3].transpose(0, 2, 1)).mean(axis=0)
    rotation = nearest_rotation(turned)
    shift = np.median(ours[:, :, 3] - scale * theirs[:, :, 3] @ rotation.T, axis=0)
    return Similarity(rotation, shift, scale)


def _points(wanted: Views, given: Views, scale: float, step: Joining) -> _Points:
    """Pixels that are sure in both windows, as points of both spaces."""
    sure = np.minimum(wanted.confidence, given.confidence).astype(np.float64)
    good = (wanted.depth > 0) & (given.depth > 0) & np.isfinite(sure)
    if good.any():
        good &= sure >= np.quantile(sure[good], 1 - step.surest)
    places = np.argwhere(good)
    places = places[:: max(1, -(-len(places) // step.most_points))]
    at = tuple(places.T)
    return _Points(
        _to_space(wanted, places),
        _to_space(given, places),
        sure[at],
        np.sqrt(scale * wanted.depth[at].astype(np.float64) * given.depth[at]),
    )


def _to_space(views: Views, places: npt.NDArray[np.intp]) -> Doubles:
    """Points [P,3] of pixels [P,3]: view, row, column."""
    view, row, column = places.T
    lens = views.intrinsics.astype(np.float64)[view]
    z = views.depth[view, row, column].astype(np.float64)
    x = (column + 0.5 - lens[:, 0, 2]) / lens[:, 0, 0] * z
    y = (row + 0.5 - lens[:, 1, 2]) / lens[:, 1, 1] * z
    seen, cameras = np.stack([x, y, z], axis=1), _to_world(views.extrinsics)[view]
    return np.einsum("pij,pj->pi", cameras[:, :, :3], seen) + cameras[:, :, 3]


def _to_world(extrinsics: FloatArray) -> Doubles:
    doubles = extrinsics.astype(np.float64)
    return other_way(doubles[:, :, :3], doubles[:, :, 3])


def _fitted(points: _Points, weights: Doubles) -> Similarity:
    """By weighted least squares (Umeyama, 1991), but for the scale, which is Horn's (1987).

    It is the ratio of the spreads: with noise in both spaces, that of least squares is too small,
    and a sequence would shrink from window to window.
    """
    shares = weights / weights.sum()
    middle, other = shares @ points.wanted, shares @ points.given
    wanted, given = points.wanted - middle, points.given - other
    covariance = (wanted * shares[:, None]).T @ given
    rotation = nearest_rotation(covariance)
    spreads = [max(float(shares @ (p**2).sum(axis=1)), _TINY) for p in (wanted, given)]
    scale = float(np.sqrt(spreads[0] / spreads[1]))
    return Similarity(rotation, middle - scale * rotation @ other, scale)


def _median(values: Doubles, weights: Doubles) -> float:
    """The value at half of the weight."""
    order = np.argsort(values)
    summed = np.cumsum(weights[order])
    return float(values[order[np.searchsorted(summed, summed[-1] / 2)]])
