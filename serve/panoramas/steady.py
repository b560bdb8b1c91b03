"""Frames of a video in one scale: each panorama is moved onto the panorama before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Optional

import numpy as np

from depth.errors import FitError
from depth.family import DEPTH, METRES, RELATIVE_INVERSE
from depth.fitting.robust import Fitting, fit
from depth.maps.fit import SCALE
from depth.maps.result import FloatArray, Map, Result
from depth.panoramas.geometry import Doubles, even_directions
from depth.panoramas.sampling import Sphere

_SAMPLES = 8192  # directions in which two frames are compared


def in_scale(result: Result, before: Optional[Result]) -> Result:
    """The result in the scale of the frame before, in inverse distance.

    Metres stay, for they have one. So does a frame that shows another scene: its projection says
    scale 1. The shift of a frame is settled by its own views, so a scale is all that is left.
    """
    depth, projection = result.depth, result.projection
    if before is None or projection is None or depth.kind == METRES:
        return result
    rays = even_directions(_SAMPLES)[np.newaxis]
    now, then = (_inverse(each.depth, rays) for each in (result, before))
    try:
        scale = fit(now, then, step=Fitting(by=SCALE)).move.scale
    except FitError:
        return result
    factor = scale if depth.kind == RELATIVE_INVERSE else 1 / scale
    values = depth.values * np.float32(factor)
    maps: Mapping[str, Map] = {**result.maps, DEPTH: replace(depth, values=values)}
    return replace(result, maps=maps, projection=replace(projection, scale=factor))


def _inverse(depth: Map, rays: FloatArray) -> Doubles:
    values = Sphere(depth.values).along(rays).ravel().astype(np.float64)
    return values if depth.kind == RELATIVE_INVERSE else 1 / np.maximum(values, 1e-9)
