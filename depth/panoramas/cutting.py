"""A panorama's depth and image as pinhole views: cube faces, or the views that it is made of."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from depth.errors import InputError
from depth.family import DEPTH, RELATIVE_INVERSE
from depth.images.read import Pixels
from depth.maps.result import FloatArray, Result
from depth.panoramas.geometry import Doubles, View, check_whole_sphere, rays, slant
from depth.panoramas.sampling import Sphere, reduced

_LEAST_PX = 16


@dataclass(frozen=True, eq=False)
class Cut:
    """A pinhole view out of a panorama.

    pixels  [side,side,3] uint8, as the panorama's
    result  depth [side,side] of the panorama's kind, along the optical axis
    """

    view: View
    pixels: Pixels
    result: Result


class Cutting:
    """Views of a panorama's result and its image [H,W,3] uint8, one at a time: they may be large.

    side_px  of each view; 0 for px as fine as the panorama's in the middle of a view

    Raises InputError for a result that is no panorama's, and an image that is none.
    """

    def __init__(
        self, result: Result, pixels: Pixels, views: Sequence[View], side_px: int = 0
    ) -> None:
        if result.projection is None:
            raise InputError("the result is of an ordinary image: expected one of a panorama")
        check_whole_sphere(*pixels.shape[:2])
        self.views = tuple(views)
        self.side_px = side_px or side_of(self.views[0], pixels.shape[1])
        self._result = result
        self._picture = Sphere(reduced(pixels, self.views[0].focal_px(self.side_px)))
        self._inverse = Sphere(_inverse(result))

    def depth(self, view: View) -> FloatArray:
        """[side,side]: depth along the axis of a view, of the panorama's kind."""
        inverse = self._inverse.along(rays(view, self.side_px))
        inverse *= slant(view, self.side_px)
        return inverse if self._result.depth.kind == RELATIVE_INVERSE else 1 / inverse

    def cut(self, view: View) -> Cut:
        """Its image and depth."""
        made = self._result.provenance
        told = replace(made, steps=(*made.steps, f"cut({view.name})"))
        maps = {DEPTH: replace(self._result.depth, values=self.depth(view))}
        found = Result(maps, told, self._result.focal, self._result.fit)
        return Cut(view, self._picture.along(rays(view, self.side_px)), found)


def side_of(view: View, width_px: int) -> int:
    """The side of a view in px, as fine in its middle as a panorama of this width; even."""
    return max(_LEAST_PX, 2 * round(width_px / (2 * math.pi) * view.half))


def quaternion(view: View) -> Doubles:
    """[4]: w, x, y, z of the rotation from the world to the view. Without roll, it is a turn by
    yaw and then one by pitch.
    """
    yaw, pitch = math.radians(view.yaw_deg) / 2, math.radians(view.pitch_deg) / 2
    (cy, sy), (cp, sp) = ((math.cos(half), math.sin(half)) for half in (yaw, pitch))
    return np.array([cy * cp, -cy * sp, -sy * cp, sy * sp])


def _inverse(result: Result) -> FloatArray:
    values = result.depth.values
    if result.depth.kind == RELATIVE_INVERSE:
        return values
    return 1 / np.maximum(values, np.finfo(np.float32).tiny)
