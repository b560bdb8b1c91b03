"""The focal length of an image: what the user says of it, or else what the file says."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

from depth.errors import InputError
from depth.maps.result import EXIF, FOCAL_PX, FOV_DEG, INTRINSICS, Focal
from depth.sizes import Size

Matrix = Sequence[Sequence[float]]


@dataclass(frozen=True)
class FocalAsked:
    """What a user says of the camera. Raises InputError for what no camera has.

    focal_px    focal length in px of the image
    fov_deg     horizontal angle of view in degrees
    intrinsics  [3,3]: fx and fy on the diagonal, in px of the image
    """

    focal_px: Optional[float] = None
    fov_deg: Optional[float] = None
    intrinsics: Optional[Matrix] = None

    def __post_init__(self) -> None:
        if self.focal_px is not None and not _is_length(self.focal_px):
            raise InputError(f"focal length {self.focal_px} px: expected a number over 0")
        if self.fov_deg is not None and not 0 < self.fov_deg < 180:
            raise InputError(f"angle of view {self.fov_deg} degrees: expected between 0 and 180")
        if self.intrinsics is not None:
            _diagonal(self.intrinsics)


NOTHING_ASKED = FocalAsked()


def focal_for(
    asked: FocalAsked, exif_focal: Optional[float], image_size: Size, network_size: Size
) -> Optional[Focal]:
    """The focal length in px of the network's input, or None if nobody says any.

    asked         goes before the file; in it `focal_px`, then `fov_deg`, then `intrinsics`
    exif_focal    px of the image, as its file says (`ImageHeader.focal_px`), if it does
    image_size    (height, width) px of the whole image, upright
    network_size  (height, width) px of the network's input

    The focal length is scaled as the image is, each axis by its own ratio, and the two are
    averaged: (fx + fy) / 2.
    """
    found = focal_in_image(asked, exif_focal, image_size)
    if found is None:
        return None
    (fx, fy), source = found
    height, width = (network / image for network, image in zip(network_size, image_size))
    return Focal((fx * width + fy * height) / 2, source)


def focal_in_image(
    asked: FocalAsked, exif_focal: Optional[float], image_size: Size
) -> Optional[tuple[tuple[float, float], str]]:
    """The focal lengths (fx, fy) in px of the image, and their source. As in `focal_for`."""
    if asked.focal_px is not None:
        return (asked.focal_px, asked.focal_px), FOCAL_PX
    if asked.fov_deg is not None:
        focal = image_size[1] / 2 / math.tan(math.radians(asked.fov_deg) / 2)
        return (focal, focal), FOV_DEG
    if asked.intrinsics is not None:
        return _diagonal(asked.intrinsics), INTRINSICS
    if exif_focal is not None:
        return (exif_focal, exif_focal), EXIF
    return None


def _diagonal(matrix: Matrix) -> tuple[float, float]:
    if [len(row) for row in matrix] != [3, 3, 3]:
        raise InputError("intrinsics: expected three rows of three numbers")
    fx, fy = float(matrix[0][0]), float(matrix[1][1])
    if not (_is_length(fx) and _is_length(fy)):
        raise InputError(f"intrinsics: focal lengths {fx} and {fy} px: expected numbers over 0")
    return fx, fy


def _is_length(px: float) -> bool:
    return px > 0 and math.isfinite(px)
