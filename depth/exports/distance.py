"""Depth of any kind -> distances along the optical axis, by a relation that is said."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

import numpy as np

from depth.errors import InputError
from depth.family import FOCAL_NORMALISED, METRES, RELATIVE_INVERSE, SCENE_UNITS
from depth.maps.result import FloatArray, Map

FAR_OVER_NEAR = 10.0  # of relative inverse depth, whose true ratio nobody knows


@dataclass(frozen=True)
class Distances:
    """Distances along the optical axis.

    z         [H,W] float32; not above zero where there is no distance
    unit      `m`, or None where the scale is unknown
    relation  how z follows from the depth value d, in words and symbols
    """

    z: FloatArray
    unit: Optional[str]
    relation: str


def distances(depth: Map, focal_px: Optional[float]) -> Distances:
    """Distances of a depth map [H,W].

    focal_px  focal length in px of the network's input, where it is known, never an assumed focal
              length: metres of `focal_normalised` follow from it

    Raises InputError for values that are not finite.
    """
    d = depth.values
    if not np.isfinite(d).all():
        raise InputError("depth values are not all finite: there is no surface to export")
    if depth.kind == METRES:
        return Distances(d, "m", "z = d")
    if depth.kind == SCENE_UNITS:
        return Distances(d, None, "z = d, in units of the reference of the fit")
    if depth.kind == RELATIVE_INVERSE:
        return _of_inverse(d)
    if depth.kind == FOCAL_NORMALISED and depth.focal_divisor and focal_px is not None:
        metres = focal_px / depth.focal_divisor
        return Distances(d * np.float32(metres), "m", f"z = {metres:.6g} * d")
    return Distances(d, None, "z = d; the scale is unknown")


def _of_inverse(d: FloatArray) -> Distances:
    """z = 1 / (a*d + b): the nearest value gets the distance 1, the farthest FAR_OVER_NEAR."""
    low, high = float(d.min()), float(d.max())
    far = 1 / FAR_OVER_NEAR
    if not high > low:
        return Distances(np.ones_like(d), None, "z = 1: depth is the same everywhere")
    # Divided first: of very large or small values the factor alone leaves float32's range.
    nearness = (d - np.float32(low)) / np.float32(high - low)
    z = 1 / (nearness * np.float32(1 - far) + np.float32(far))
    a = (1 - far) / (high - low)
    relation = (
        f"z = 1 / (a*d + b), a = {a:.6g}, b = {far - a * low:.6g}: chosen so that the nearest "
        f"value is at 1 and the farthest at {FAR_OVER_NEAR:g}; the true scale and shift are unknown"
    )
    return Distances(z.astype(np.float32, copy=False), None, relation)
