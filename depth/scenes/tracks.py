"""Tracks: points that several views see, each with its places in them.

A pixel of a view becomes a point. The point is projected into every other view, and is seen there
if the depth of that view agrees. Bundle adjustment needs such points: a point with one place says
nothing of how two cameras lie to each other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from depth.exports.surface import EDGE_RATIO
from depth.scenes.geometry import camera_to_world, centres, to_pixels
from depth.scenes.options import Options
from depth.scenes.points import colours_of, drawn, threshold, usable, world_points
from depth.scenes.scene import Doubles, Mask, Pixels, Scene

AGREEMENT = 0.01  # of depth, relative

_PARTNERS = 16  # other views in which a point is looked for: tracks of hundreds of views cost much
_TRIED = 4  # pixels for each point that a view may give: some are seen by no other view

Indices = npt.NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Tracks:
    """Points, and where views see them. Observations are sorted by view, then by point.

    points   [P,3] float64, of the world
    colours  [P,3] uint8, RGB
    point    [O] the point of each observation
    view     [O] the view of each observation
    places   [O,2] float64, px of the scene's own maps
    """

    points: Doubles
    colours: Pixels
    point: Indices
    view: Indices
    places: Doubles

    def lengths(self) -> Indices:
        """[P]: how many views see each point."""
        return np.bincount(self.point, minlength=len(self.points))


def tracks_of(scene: Scene, options: Options) -> Tracks:
    """The tracks of a scene; each view gives its share of the points.

    A point that one view alone sees is left out: bundle adjustment refuses it. Where no point is
    shared, as in a scene of one view, every point has one place. Raises InputError if no pixel is
    usable.
    """
    good = usable(scene, threshold(scene, options.percentile), options)
    shared = _Growing(scene, good, options, alone=False).tracks()
    return shared if len(shared.points) else _Growing(scene, good, options, alone=True).tracks()


class _Growing:
    """Tracks that views add to, one view after the other."""

    def __init__(self, scene: Scene, good: Mask, options: Options, alone: bool) -> None:
        self._scene, self._good, self._alone = scene, good, alone
        self._free = good.reshape(len(scene), -1).copy()  # pixels that no track has yet
        self._points: list[Doubles] = []
        self._colours: list[Pixels] = []
        self._seen: list[tuple[Indices, Indices, Doubles]] = []  # point, view, place
        self._count = 0
        self._cameras = np.stack([camera_to_world(e)[:3, 3] for e in scene.extrinsics])
        share = -(-options.track_points // len(scene))
        for view in range(len(scene)):
            room = min(share, options.track_points - self._count)
            self._add(view, room, options.seed + view)

    def tracks(self) -> Tracks:
        point, view, places = (np.concatenate(parts) for parts in zip(*self._seen))
        order = np.lexsort((point, view))
        points, colours = np.concatenate(self._points), np.concatenate(self._colours)
        return Tracks(points, colours, point[order], view[order], places[order])

    def _add(self, view: int, room: int, seed: int) -> None:
        """Tracks that begin with pixels of a view; at most `room`."""
        scene, width = self._scene, self._scene.size[1]
        pixels = drawn(np.flatnonzero(self._free[view]), room * _TRIED, seed)
        points = world_points(scene, view, pixels)
        others = _partners(self._cameras, view)
        seen = {other: _seen(scene, self._good[other], other, points) for other in others}
        shared = np.full(len(pixels), self._alone)
        for there, _ in seen.values():
            shared[there] = True
        kept = drawn(np.flatnonzero(shared), room, seed)
        number = np.full(len(pixels), -1)
        number[kept] = np.arange(self._count, self._count + len(kept))
        places = centres(*np.divmod(pixels[kept], width))
        self._seen.append((number[kept], np.full(len(kept), view), places))
        for other, (there, places) in seen.items():
            there, places = there[number[there] >= 0], places[number[there] >= 0]
            column, row = places.astype(np.intp).T
            self._free[other, row * width + column] = False
            self._seen.append((number[there], np.full(len(there), other), places))
        self._points.append(points[kept])
        self._colours.append(colours_of(scene, view, pixels[kept]))
        self._count += len(kept)


def _partners(cameras: Doubles, view: int) -> list[int]:
    """Views in which the points of a view are looked for: all, or the nearest and some of the rest.

    The nearest overlap most. The others are spaced evenly by distance: they tie far ends together.
    """
    distance = np.linalg.norm(cameras - cameras[view], axis=1)
    order = [int(other) for other in np.argsort(distance, kind="stable") if other != view]
    if len(order) <= _PARTNERS:
        return order
    near, rest = order[: _PARTNERS // 2], order[_PARTNERS // 2 :]
    spaced = np.linspace(0, len(rest) - 1, _PARTNERS - len(near)).astype(int)
    return sorted({*near, *(rest[number] for number in spaced)})


def _seen(scene: Scene, good: Mask, view: int, points: Doubles) -> tuple[Indices, Doubles]:
    """Which points a view sees, by number, and where, [N,2] px.

    A point is seen where four usable pixels are around it, no edge passes between them, and their
    depth agrees with the point's, which no point behind the camera does. Inverse depth is
    interpolated: on a plane that is exact.
    """
    places, z = to_pixels(points, scene.intrinsics[view], scene.extrinsics[view])
    height, width = scene.size
    inside = (places >= 0.5).all(1) & (places < [width - 0.5, height - 0.5]).all(1)
    (found,) = np.nonzero(inside)
    at = places[found] - 0.5  # from the first pixel's centre
    column, row = np.floor(at).astype(np.intp).T
    right, down = np.minimum(column + 1, width - 1), np.minimum(row + 1, height - 1)
    corners = [(row, column), (row, right), (down, column), (down, right)]
    around = np.stack([scene.depth[view][corner] for corner in corners], 1).astype(np.float64)
    fits = np.stack([good[corner] for corner in corners], 1).all(1)
    fits &= around.max(1) <= around.min(1) * EDGE_RATIO
    x, y = (at - np.stack([column, row], 1)).T
    weights = np.stack([(1 - x) * (1 - y), x * (1 - y), (1 - x) * y, x * y], 1)
    depth = 1 / (weights / np.where(around > 0, around, 1.0)).sum(1)
    fits &= np.abs(z[found] - depth) <= AGREEMENT * depth
    return found[fits], places[found[fits]]
