"""The points of a scene: which pixels become points, and where they lie in the world."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

import numpy as np
import numpy.typing as npt

from depth.errors import InputError
from depth.scenes.geometry import centres, to_world
from depth.scenes.options import Options
from depth.scenes.scene import Doubles, Mask, Pixels, Scene

LEAST_CONFIDENCE, SURE_PERCENTILE = 1.05, 90.0  # of upstream's GLB
_FEW = 10  # pixels without sky: fewer say nothing of confidence
_BLACK_BELOW, _WHITE_FROM = 16, 240  # as upstream's filters of backgrounds
_GREY = 128  # of points whose scene has no images


@dataclass(frozen=True, eq=False)
class Cloud:
    """Points, view by view, in each view row by row.

    points   [N,3] float64, of the world
    colours  [N,3] uint8, RGB; grey if the scene has no images
    """

    points: Doubles
    colours: Pixels


def threshold(scene: Scene, percentile: float) -> Optional[float]:
    """The confidence of a percentile of all pixels that are not sky; None without confidence."""
    if scene.confidence is None:
        return None
    values = scene.confidence
    if scene.sky is not None and np.count_nonzero(~scene.sky) > _FEW:
        values = values[~scene.sky]
    return float(np.percentile(values, percentile))


def clamped_threshold(scene: Scene, percentile: float) -> Optional[float]:
    """As upstream's GLB: not below LEAST_CONFIDENCE, not above that of SURE_PERCENTILE."""
    lower, upper = threshold(scene, percentile), threshold(scene, SURE_PERCENTILE)
    if lower is None or upper is None:
        return None
    return min(max(LEAST_CONFIDENCE, lower), upper)


def usable(scene: Scene, least: Optional[float], options: Options) -> Mask:
    """[S,H,W]: pixels with depth, no sky, a colour that is asked for, and this confidence.

    Raises InputError if there is none.
    """
    found = scene.depth > 0
    if scene.sky is not None:
        found &= ~scene.sky
    if scene.confidence is not None and least is not None:
        found &= scene.confidence >= least
    if scene.images is not None and not options.black:
        found &= ~(scene.images < _BLACK_BELOW).all(-1)
    if scene.images is not None and not options.white:
        found &= ~(scene.images >= _WHITE_FROM).all(-1)
    if not found.any():
        raise InputError(
            "no point is left of the scene: all is sky, has no depth, or has a colour left out"
        )
    return found


def drawn(where: npt.NDArray[np.intp], most: int, seed: int) -> npt.NDArray[np.intp]:
    """At most `most` of these positions, in their order: the same for the same seed."""
    if len(where) <= most:
        return where
    return where[np.sort(np.random.default_rng(seed).choice(len(where), most, replace=False))]


def cloud(scene: Scene, options: Options) -> Cloud:
    """The points of a scene. Raises InputError if no pixel is usable."""
    good = usable(scene, clamped_threshold(scene, options.percentile), options)
    kept = drawn(np.flatnonzero(good), options.points, options.seed)
    height, width = scene.size
    ends = np.searchsorted(kept, np.arange(len(scene) + 1) * (height * width))
    views = [kept[a:b] - view * height * width for view, (a, b) in enumerate(zip(ends, ends[1:]))]
    points = [world_points(scene, view, pixels) for view, pixels in enumerate(views)]
    colours = [colours_of(scene, view, pixels) for view, pixels in enumerate(views)]
    return Cloud(np.concatenate(points), np.concatenate(colours))


def world_points(scene: Scene, view: int, pixels: npt.NDArray[np.intp]) -> Doubles:
    """World points [N,3] of pixels of a view, by their places in its flat map."""
    places = centres(*np.divmod(pixels, scene.size[1]))
    z = scene.depth[view].ravel()[pixels].astype(np.float64)
    return to_world(places, z, scene.intrinsics[view], scene.extrinsics[view])


def colours_of(scene: Scene, view: int, pixels: npt.NDArray[np.intp]) -> Pixels:
    """Colours [N,3] RGB of pixels of a view."""
    if scene.images is None:
        return np.full((len(pixels), 3), _GREY, np.uint8)
    return scene.images[view].reshape(-1, 3)[pixels]
