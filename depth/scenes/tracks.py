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
from depth.scenes.geometry import centres, to_pixels
from depth.scenes.options import Options
from depth.scenes.points import colours_of, drawn, threshold, usable, world_points
from depth.scenes.scene import Doubles, Mask, Pixels, Scene

AGREEMENT = 0.01  # of depth, relative

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

    Raises InputError if no pixel is usable.
    """
    good = usable(scene, threshold(scene, options.percentile))
    free = good.reshape(len(scene), -1).copy()  # pixels that no track has yet
    share = -(-options.track_points // len(scene))
    points, colours, seen = [], [], []
    count = 0
    for view in range(len(scene)):
        room = min(share, options.track_points - count)
        pixels = drawn(np.flatnonzero(free[view]), room, options.seed + view)
        found = world_points(scene, view, pixels)
        points.append(found)
        colours.append(colours_of(scene, view, pixels))
        numbers = np.arange(count, count + len(found))
        places = centres(*np.divmod(pixels, scene.size[1]))
        seen.append((numbers, np.full(len(numbers), view), places))
        for other in (other for other in range(len(scene)) if other != view):
            there, places = _seen(scene, good[other], other, found)
            column, row = places.astype(np.intp).T
            free[other, row * scene.size[1] + column] = False
            seen.append((numbers[there], np.full(len(there), other), places))
        count += len(found)
    point, views, at = (np.concatenate(parts) for parts in zip(*seen))
    order = np.lexsort((point, views))
    return Tracks(
        np.concatenate(points), np.concatenate(colours), point[order], views[order], at[order]
    )


def _seen(scene: Scene, good: Mask, view: int, points: Doubles) -> tuple[Indices, Doubles]:
    """Which points a view sees, by number, and where, [N,2] px.

    A point is seen where four usable pixels are around it, no edge passes between them, and their
    depth agrees with the point's. Inverse depth is interpolated: on a plane that is exact.
    """
    places, z = to_pixels(points, scene.intrinsics[view], scene.extrinsics[view])
    height, width = scene.size
    inside = (z > 0) & (places >= 0.5).all(1)
    inside &= (places[:, 0] < width - 0.5) & (places[:, 1] < height - 0.5)
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
