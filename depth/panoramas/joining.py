"""Depth of the views of a panorama -> depth of the panorama, along its rays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Callable, Optional

import numpy as np

from depth.errors import InputError
from depth.family import (
    CONFIDENCE,
    DEPTH,
    FOCAL_NORMALISED,
    RELATIVE_INVERSE,
    SKY,
)
from depth.images.read import Pixels
from depth.maps.projection import ALONG_RAY, EQUIRECTANGULAR, JoinedView, Projection
from depth.maps.result import FloatArray, Map
from depth.panoramas.alignment import AFFINE, SCALE, aligned
from depth.panoramas.blending import Blended, blended
from depth.panoramas.geometry import check_whole_sphere, even_directions, slant
from depth.panoramas.layouts import Layout
from depth.panoramas.sampling import Sphere, seen_in
from depth.sizes import Size

_HALF = 0.05  # relative disagreement that makes the confidence a half
_ALONE = 0.5  # confidence where one view alone says what is there
_SEVERAL = 1.2  # weighted views, from which on the panorama's disagreement is counted
_LEAST = 0.1  # of the median value: what disagreement is relative to at least, such as in the sky
_SAMPLES = 16_384
_THIN = 4  # rows and columns between values that a median is taken of
_NEAREST = 1e-6  # of the farthest depth, so that an inverse exists

Maps = Mapping[str, Map]
Estimate = Callable[[list[Pixels]], Sequence[Maps]]


@dataclass(frozen=True)
class Joined:
    """Maps of a panorama by name: depth, confidence, and sky of models that give it."""

    maps: dict[str, Map]
    projection: Projection


def depth_of_panorama(
    pixels: Pixels,
    estimate: Estimate,
    layout: Layout,
    side_px: int = 518,
    method: Optional[str] = None,
) -> Joined:
    """Depth of an equirectangular image [H,W,3] uint8 by any network of ordinary images.

    estimate  called once with all views [side,side,3], in the image's colour order; gives the maps
              of each, among them `depth`
    method    as of `joined`

    Raises InputError for an image that is no whole sphere, and as `joined`.
    """
    height, width = pixels.shape[:2]
    check_whole_sphere(height, width)
    return joined(layout, estimate(seen_in(pixels, layout.views, side_px)), (height, width), method)


def joined(
    layout: Layout, views: Sequence[Maps], size: Size, method: Optional[str] = None
) -> Joined:
    """One panorama of (height, width) px.

    views   the maps [side,side] of each view of the layout
    method  `affine`, `scale` or `none`; by default affine for relative inverse depth, whose scale
            and shift differ from view to view, else scale

    Depth keeps its kind, along the ray in place of the optical axis. Raises InputError for depth
    of several kinds or sizes, metres without a focal length, and as `aligned`.
    """
    kind = _kind_of(layout, views)
    method = method or (AFFINE if kind == RELATIVE_INVERSE else SCALE)
    inverse = [_inverse(maps[DEPTH]) for maps in views]
    found = aligned(layout.views, inverse, method)
    skies = [maps[SKY].values for maps in views if SKY in maps]
    planes = []
    for view, values, scale, shift in zip(layout.views, inverse, found.scales, found.shifts):
        along = (np.float32(scale) * values + np.float32(shift)) / slant(view, len(values))
        planes.append(along[..., np.newaxis])
    if len(skies) == len(views):
        planes = [np.dstack([plane, sky]) for plane, sky in zip(planes, skies)]
    whole = blended(layout.views, planes, size)
    relative = _relative(whole)
    middle, most = _disagreement(relative, whole.views)
    maps = {DEPTH: Map(_depth(np.ascontiguousarray(whole.values[..., 0]), kind), kind)}
    maps[CONFIDENCE] = Map(_confidence(relative, whole.views), CONFIDENCE)
    if len(skies) == len(views):
        maps[SKY] = Map(np.ascontiguousarray(whole.values[..., 1]), SKY)
    facts = tuple(
        JoinedView(view.name, view.yaw_deg, view.pitch_deg, view.fov_deg, scale, shift)
        for view, scale, shift in zip(layout.views, found.scales, found.shifts)
    )
    return Joined(
        maps, Projection(EQUIRECTANGULAR, ALONG_RAY, method, middle, most, 1.0, 0.0, facts)
    )


def _kind_of(layout: Layout, views: Sequence[Maps]) -> str:
    if len(views) != len(layout.views):
        raise InputError(f"{len(views)} results: expected {len(layout.views)}, one of each view")
    kinds = {maps[DEPTH].kind for maps in views}
    sizes = {maps[DEPTH].values.shape for maps in views}
    sides = {side for shape in sizes for side in shape}
    if len(kinds) != 1 or len(sizes) != 1 or len(sides) != 1:
        raise InputError(
            f"depth of kinds {', '.join(sorted(kinds))} and sizes {sorted(sizes)}: expected one "
            "kind and one size, as high as wide"
        )
    kind = kinds.pop()
    if kind == FOCAL_NORMALISED:
        raise InputError(
            f"depth of kind {kind}: give the network the focal length of the views, so that it is "
            "in metres"
        )
    return kind


def _inverse(depth: Map) -> FloatArray:
    """Inverse depth along the optical axis, up to scale and, if relative, shift."""
    if depth.kind == RELATIVE_INVERSE:
        return depth.values
    return _flipped(depth.values)


def _depth(inverse: FloatArray, kind: str) -> FloatArray:
    return inverse if kind == RELATIVE_INVERSE else _flipped(inverse)


def _flipped(values: FloatArray) -> FloatArray:
    floor = max(float(values.max()) * _NEAREST, float(np.finfo(np.float32).tiny))
    found: FloatArray = 1 / np.maximum(values, np.float32(floor))
    return found


def _relative(whole: Blended) -> FloatArray:
    """[H,W]: how far views differ, relative to the value. Takes the place of `spread`."""
    size = np.abs(whole.values[..., 0])
    usual = float(np.median(size[::_THIN, ::_THIN]))
    np.maximum(size, np.float32(_LEAST * usual or 1.0), out=size)
    return np.divide(whole.spread, size, out=whole.spread)


def _confidence(relative: FloatArray, views: FloatArray) -> FloatArray:
    """1 where views agree, a half where they differ by _HALF or where one view is alone.

    Takes the place of `relative`, and changes `views`: a panorama has many px.
    """
    relative += np.float32(_HALF)
    agreed = np.divide(np.float32(_HALF), relative, out=relative)
    views -= np.float32(1)
    several = np.clip(views, 0, 1, out=views)
    agreed -= np.float32(_ALONE)
    agreed *= several
    agreed += np.float32(_ALONE)
    return agreed


def _disagreement(relative: FloatArray, views: FloatArray) -> tuple[float, float]:
    """The median and the 95th percentile over the sphere, where several views count."""
    rays = even_directions(_SAMPLES)[np.newaxis]
    off, several = (Sphere(each).along(rays)[0] for each in (relative, views))
    found = off[several >= _SEVERAL]
    if not len(found):
        return 0.0, 0.0
    middle, most = np.quantile(found, (0.5, 0.95)).tolist()
    return middle, most
