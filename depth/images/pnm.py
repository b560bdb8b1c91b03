"""PGM and PPM: the header of a binary file. Source: the manual pages pgm(5) and ppm(5)."""

from __future__ import annotations

import re

from depth.errors import ImageError
from depth.images.header import (
    SIXTEEN_BIT,
    TRUNCATED,
    ImageHeader,
    checked_header,
    named_mode,
)

# White space and comments may stand between numbers; one white space comes before the pixels.
_BETWEEN = rb"\s(?:\s|#[^\r\n]*[\r\n])*"
_NUMBER = rb"(\d{1,9})"
_HEADER = re.compile(rb"P([56])" + (_BETWEEN + _NUMBER) * 3 + rb"\s")
_BITS = {255: 8, 65535: 16}  # by the largest value; OpenCV does not stretch others to 8 bits


def read_pnm(data: bytes) -> ImageHeader:
    """Raises ImageError for a file that is cut short or has samples of another range."""
    found = _HEADER.match(data)
    if found is None:
        raise ImageError(TRUNCATED.format("part of its header"))
    width, height, largest = (int(number) for number in found.groups()[1:])
    if largest not in _BITS:
        raise ImageError(
            f"a PGM or PPM with values up to {largest} is not read, only 255 and 65535; convert it "
            "to PNG"
        )
    bits, mode = _BITS[largest], {b"5": "L", b"6": "RGB"}[found[1]]
    header = checked_header(
        (width, height), ("PNM", named_mode(mode, bits)), 1, {SIXTEEN_BIT: bits == 16}
    )
    missing = found.end() + width * height * len(mode) * bits // 8 - len(data)
    if missing > 0:
        raise ImageError(TRUNCATED.format(f"{missing} bytes at its end"))
    return header
