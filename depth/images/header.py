"""What an image file says about itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from depth.errors import ImageError
from depth.images.exif import exif_focal_px

MAX_PIXELS = 100_000_000  # 300 MB as uint8 BGR

MAX_PARTS = 100_000  # segments or chunks; a 200 MB PNG in chunks of 8 kB has 25,000
TRUNCATED = "truncated: {} is missing; copy or download it again"

# What is lost or left out when a picture becomes 8-bit BGR.
ALPHA_IGNORED = "alpha channel ignored"
ALPHA_MULTIPLIED = "colours multiplied by the alpha channel, as OpenCV reads TIFF"
CMYK_CONVERTED = "CMYK converted without its colour profile"
FIRST_FRAME = "first frame of an animation"
FIRST_PAGE = "first page of several"
SIXTEEN_BIT = "16-bit reduced to 8"


@dataclass(frozen=True)
class ImageHeader:
    """An image's size as it will be seen, and how it is stored."""

    width_px: int  # after the orientation has been applied
    height_px: int
    format: str  # "JPEG", "PNG", "WebP", "BMP", "TIFF"
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
