"""The camera of an export: what is known of it, or else an assumed field of view."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Optional

from depth.errors import InputError
from depth.maps.result import Focal, Result
from depth.sizes import Size
from depth.steps.focal import FocalAsked, focal_for, focal_in_image

ASSUMED_FOV_DEG = 60.0  # horizontal
ASSUMED = "assumed"
_AGREE = 0.01  # two focal lengths that differ by less are the same


@dataclass(frozen=True)
class View:
    """A pinhole camera whose optical axis goes through the middle of the image.

    fx, fy      focal lengths in px of the image
    image_size  (height, width) px
    source      where they come from: a source of `Focal`, or ASSUMED
    """

    fx: float
    fy: float
    image_size: Size
    source: str

    @property
    def assumed(self) -> bool:
        return self.source == ASSUMED

    @property
    def horizontal_deg(self) -> float:
        """The horizontal angle of view in degrees."""
        return _degrees(self.image_size[1], self.fx)

    def on_grid(self, grid: Size) -> tuple[float, float]:
        """(fx, fy) in px of a map of another size (height, width), corner pixel on corner pixel."""
        (height, width), (rows, columns) = self.image_size, grid
        return self.fx * _ratio(columns, width), self.fy * _ratio(rows, height)

    def described(self) -> dict[str, Any]:
        """What an exported file says of the camera."""
        height, width = self.image_size
        return {
            "horizontal_deg": self.horizontal_deg,
            "vertical_deg": _degrees(height, self.fy),
            "assumed": self.assumed,
            "source": self.source,
            "focal_px": [self.fx, self.fy],
            "image_px": [width, height],
        }


def view_of(
    result: Result, asked: FocalAsked, exif_focal: Optional[float], image_size: Size
) -> View:
    """The camera of a result's image, (height, width) px.

    The first that is there: the focal length that the result's metres were made with, what is
    `asked`, the file's own (`exif_focal`, px of the image), or ASSUMED_FOV_DEG. Raises InputError
    if metres were made with another focal length than is asked for.
    """
    if result.focal is not None:
        return _of_result(result, result.focal, asked, image_size)
    found = focal_in_image(asked, exif_focal, image_size)
    if found is not None:
        (fx, fy), source = found
        return View(fx, fy, image_size, source)
    focal = image_size[1] / 2 / math.tan(math.radians(ASSUMED_FOV_DEG) / 2)
    return View(focal, focal, image_size, ASSUMED)


def _of_result(result: Result, focal: Focal, asked: FocalAsked, image_size: Size) -> View:
    made = result.provenance
    network = made.model_height_px, made.model_width_px
    named = focal_for(asked, None, image_size, network)
    if named is not None and abs(named.px / focal.px - 1) > _AGREE:
        raise InputError(
            f"the metres were made with a focal length of {focal.px:.6g} px of the network's "
            f"input, and {named.px:.6g} px is asked for: leave the camera out, or make depth again"
        )
    height, width = image_size
    # Of the network's px only the mean of both axes is kept; an image has square pixels.
    px = 2 * focal.px / (network[0] / height + network[1] / width)
    return View(px, px, image_size, focal.source)


def _ratio(own: int, image: int) -> float:
    """Of a px of the image to a px of the map along one axis; as `to_image_px` of a description."""
    return (own - 1) / (image - 1) if image > 1 and own > 1 else own / image


def _degrees(side_px: int, focal_px: float) -> float:
    return round(math.degrees(2 * math.atan(side_px / 2 / focal_px)), 6)
