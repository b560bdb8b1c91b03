"""Places in an image as its file stores it, and in the upright image that people see."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from depth.sizes import Size

QUARTER_TURNS = (5, 6, 7, 8)  # EXIF orientations that swap the sides

Places = npt.NDArray[Any]


def stored_size(upright: Size, orientation: int) -> Size:
    """(height, width) px as stored, of an upright image of this size."""
    return (upright[1], upright[0]) if orientation in QUARTER_TURNS else upright


def upright(x: Places, y: Places, stored: Size, orientation: int) -> tuple[Places, Places]:
    """Places of the upright image, of places of the stored image.

    x, y         [N] px from the first pixel's centre
    stored       (height, width) px
    orientation  EXIF orientation, 1 to 8
    """
    right, bottom = stored[1] - 1 - x, stored[0] - 1 - y
    return {
        1: (x, y),
        2: (right, y),
        3: (right, bottom),
        4: (x, bottom),
        5: (y, x),
        6: (bottom, x),
        7: (bottom, right),
        8: (y, right),
    }[orientation]
