"""Regions of an image: joined, filled, grown, turned as the file is stored, and written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable

import cv2
import numpy as np
import numpy.typing as npt

from depth.errors import InputError
from depth.maps import png
from depth.masks.rules import Region

IGNORE, KEEP = 0, 255  # of a mask file
MOST_DILATE_PERCENT = 2.0
MUCH = 0.5  # a mask of more than this share leaves too little to align images by

Levels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Shaping:
    """What is done to the region that all sources make together.

    dilate_percent  how far it grows, in percent of the image's longer side, 0 to 2
    fill_holes      whether what it encloses belongs to it
    invert          whether files have 255 where the image is left out

    Raises InputError for a percentage outside.
    """

    dilate_percent: float = 0.0
    fill_holes: bool = False
    invert: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.dilate_percent <= MOST_DILATE_PERCENT:
            raise InputError(
                f"--dilate {self.dilate_percent:g}: expected 0 to {MOST_DILATE_PERCENT:g} percent "
                "of the image's longer side"
            )

    def shaped(self, region: Region) -> Region:
        """The region with its holes filled, then grown."""
        filled = with_holes_filled(region) if self.fill_holes else region
        return dilated(filled, self.dilate_percent * max(region.shape) / 100)

    def encoded(self, region: Region, orientation: int) -> bytes:
        """A PNG of 8 bits and one channel, whose pixels lie as those of the image's file."""
        return png.encode(levels_of(as_stored(region, orientation) != self.invert))


def levels_of(region: Region) -> Levels:
    """[H,W] uint8: IGNORE in the region, KEEP elsewhere."""
    return np.where(region, np.uint8(IGNORE), np.uint8(KEEP))


def with_holes_filled(region: Region) -> Region:
    """The region, and all that it cuts off from the border of the image."""
    _, found = cv2.connectedComponents((~region).astype(np.uint8), connectivity=4)
    labels = np.asarray(found)
    rows = np.concatenate([labels[0], labels[-1]])
    columns = np.concatenate([labels[:, 0], labels[:, -1]])
    outside = np.zeros(int(labels.max()) + 1, np.bool_)
    outside[rows] = True
    outside[columns] = True
    outside[0] = False  # the region itself
    return ~outside[labels]


def dilated(region: Region, radius_px: float) -> Region:
    """The region, and every pixel whose centre is within `radius_px` of it.

    By a distance transform: its time does not grow with the radius.
    """
    if radius_px < 1 or not region.any():
        return region
    outside = (~region).astype(np.uint8)
    distance = np.asarray(cv2.distanceTransform(outside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE))
    grown: Region = distance <= radius_px
    return grown


def as_stored(region: Region, orientation: int) -> Region:
    """An upright region as the rows and columns of a file with this EXIF orientation, 1 to 8.

    COLMAP, nerfstudio and OpenDroneMap read pixels as the file stores them.
    """
    return np.ascontiguousarray(_TO_STORED[orientation](region))


def share_of(region: Region) -> float:
    """The share of the image that is left out, 0 to 1."""
    return float(np.count_nonzero(region)) / region.size


_TO_STORED: dict[int, Callable[[Region], Region]] = {
    1: lambda region: region,
    2: lambda region: region[:, ::-1],
    3: lambda region: region[::-1, ::-1],
    4: lambda region: region[::-1],
    5: lambda region: region.T,
    6: lambda region: np.rot90(region),
    7: lambda region: region[::-1, ::-1].T,
    8: lambda region: np.rot90(region, -1),
}
