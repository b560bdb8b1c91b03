"""What an image file says about itself: its size, its orientation and the camera's focal length.

Source of the last: Exif 2.32 (CIPA DC-008), section 4.6. The block is a small TIFF; of it only the
fields below are read, each inside the block, so that a damaged or hostile one costs next to
nothing.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import Optional

from depth.errors import ImageError

MAX_PIXELS = 100_000_000  # 300 MB as uint8 BGR

MAX_PARTS = 100_000  # segments or chunks; a 200 MB PNG in chunks of 8 kB has 25,000
TRUNCATED = "truncated: {} is missing; copy or download it again"

# What is lost or left out when a picture becomes 8-bit BGR.
ALPHA_IGNORED = "alpha channel ignored"
ALPHA_MULTIPLIED = "colours multiplied by the alpha channel, as OpenCV reads TIFF"
CMYK_CONVERTED = "CMYK converted without its colour profile"
FIRST_FRAME = "first frame of an animation"
FIRST_PAGE = "first page of several"
NO_END_MARKER = "its end marker is missing; the picture is whole"
SIXTEEN_BIT = "16-bit reduced to 8"


_EXIF_DIRECTORY = 0x8769  # where the camera's fields are
_FOCAL_MM, _FOCAL_35MM = 0x920A, 0xA405
_PIXELS_X, _PLANE_X, _PLANE_UNIT = 0xA002, 0xA20E, 0xA210
_UNIT_MM = {2: 25.4, 3: 10.0, 4: 1.0, 5: 0.001}  # inch, cm, mm, um
_INCH = 2  # the unit if none is given
_DIAGONAL_35MM = math.hypot(36.0, 24.0)
_SHORT, _LONG, _RATIONAL, _DIRECTORY = 3, 4, 5, 13
_MAX_FIELDS = 4096

Fields = dict[int, float]


@dataclass(frozen=True)
class ImageHeader:
    """An image's size as it will be seen, and how it is stored."""

    width_px: int  # after the orientation has been applied
    height_px: int
    format: str  # "JPEG", "PNG", "WebP", "BMP", "TIFF", "PNM"
    mode: str  # as stored: "L", "LA", "P", "RGB", "RGBA", "CMYK", "1"; 16-bit: "L;16", ...
    orientation: int  # EXIF orientation 1..8 that decoding applies; 1 is upright
    notes: tuple[str, ...] = ()
    focal_px: Optional[float] = None  # focal length by its EXIF, in px of the whole image


def checked_header(
    size: tuple[int, int],
    kind: tuple[str, str],
    orientation: int,
    notes: dict[str, bool],
    exif: bytes = b"",
) -> ImageHeader:
    """The header of an image stored as (width, height) px, of (format, mode).

    Keeps the notes that apply. `exif` is the file's EXIF block. Raises ImageError for a size that
    is not accepted.
    """
    width, height = size
    if width < 1 or height < 1:
        raise ImageError(f"damaged: its header gives a size of {width}x{height} px")
    if width * height > MAX_PIXELS:
        raise ImageError(
            f"{width}x{height} px is too large: the limit is {MAX_PIXELS // 1_000_000} megapixels; "
            "reduce it first"
        )
    present = tuple(note for note, applies in notes.items() if applies)
    focal_px = exif_focal_px(exif, width, height)
    if orientation >= 5:  # a quarter turn
        width, height = height, width
    return ImageHeader(width, height, *kind, orientation, present, focal_px)


def named_mode(base: str, bits: int) -> str:
    """A mode with its depth: L of 16 bits is "L;16", of one bit "1"."""
    if bits == 16:
        return f"{base};16"
    return "1" if bits == 1 and base == "L" else base


def exif_focal_px(block: bytes, width_px: int, height_px: int) -> Optional[float]:
    """The focal length in px of an image of this size as stored, or None if the block says none.

    From FocalLengthIn35mmFilm, which is about the diagonal of the picture; or else from the focal
    length in mm and the pixels per unit on the sensor. Raises nothing.
    """
    fields = _fields(block)
    equivalent_mm = fields.get(_FOCAL_35MM, 0.0)
    if equivalent_mm > 0:  # 0 means unknown
        return _checked(equivalent_mm * math.hypot(width_px, height_px) / _DIAGONAL_35MM)
    unit_mm = _UNIT_MM.get(int(fields.get(_PLANE_UNIT, _INCH)))
    if unit_mm is None:
        return None
    sensor_px = fields.get(_FOCAL_MM, 0.0) * fields.get(_PLANE_X, 0.0) / unit_mm
    written_px = fields.get(_PIXELS_X) or width_px  # the width when the camera wrote it
    return _checked(sensor_px * width_px / written_px)


def _checked(focal_px: float) -> Optional[float]:
    return focal_px if focal_px > 0 and math.isfinite(focal_px) else None


def _fields(block: bytes) -> Fields:
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(bytes(block[:4]))
    if order is None:
        return {}
    try:
        (start,) = struct.unpack_from(order + "I", block, 4)
        inner = _directory(block, order, start).get(_EXIF_DIRECTORY)
        return {} if inner is None else _directory(block, order, int(inner))
    except struct.error:
        return {}


def _directory(block: bytes, order: str, start: int) -> Fields:
    """The first number of each field of one directory."""
    (count,) = struct.unpack_from(order + "H", block, start)
    found: Fields = {}
    for index in range(min(count, _MAX_FIELDS)):
        position = start + 2 + 12 * index
        tag, kind, length = struct.unpack_from(order + "HHI", block, position)
        if length < 1 or tag in found:
            continue
        if kind == _SHORT:
            (found[tag],) = struct.unpack_from(order + "H", block, position + 8)
        elif kind in (_LONG, _DIRECTORY):
            (found[tag],) = struct.unpack_from(order + "I", block, position + 8)
        elif kind == _RATIONAL:
            (offset,) = struct.unpack_from(order + "I", block, position + 8)
            if offset + 8 <= len(block):
                over, under = struct.unpack_from(order + "II", block, offset)
                found[tag] = over / under if under else 0.0
    return found
