"""At which reduced size a JPEG may be decoded for someone who needs few pixels.

A JPEG decoder can stop its inverse transform at 4x4, 2x2 or 1x1 of each block's 8x8 pixels (ITU-T
T.81; `scale_num` and `scale_denom` of libjpeg). What it leaves out is never computed.
"""

from __future__ import annotations

from typing import Callable

from depth.images.header import ImageHeader

Needed = Callable[[ImageHeader], tuple[int, int]]  # the (height, width) px it will be resized to

_FACTORS = (8, 4, 2)
# Cubic resizing without a filter, the reference, needs what is above its target's resolution.
_MARGIN = 2


def reduction(header: ImageHeader, needed: tuple[int, int]) -> int:
    """1, 2, 4 or 8: what both sides can be divided by for a resize to `needed` (height, width) px.

    At least twice as many pixels a side are left as are needed. Only if both sides divide evenly:
    else the last row and column would be partly outside, and the picture shifted by that.
    """
    sides = (header.height_px, header.width_px)
    for factor in _FACTORS:
        if all(
            side % factor == 0 and side // factor >= _MARGIN * wanted
            for side, wanted in zip(sides, needed)
        ):
            return factor
    return 1
