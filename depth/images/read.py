"""Reads input images: the pixels of OpenCV's `imread`, and a reason for every refusal.

Upstream reads images with `cv2.imread`, so its pixels are the reference. JPEG is decoded by
simplejpeg, which gives the same pixels faster and tells a truncated file from a complete one
(`cv2.imread` fills the missing part with gray). Everything here may be called from many threads.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import cv2
import numpy as np
import numpy.typing as npt
import simplejpeg  # type: ignore[import-untyped]

from depth.errors import InputError, first_line
from depth.images.file import ImageFile, printable, refusal
from depth.images.header import ImageHeader
from depth.images.png import without_animation
from depth.images.reduction import Needed, reduction

Pixels = npt.NDArray[np.uint8]

# The last five are refused on reading: an image left out silently is worse than one reported.
IMAGE_EXTENSIONS = frozenset(
    (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".tif", ".tiff")
    + (".gif", ".heic", ".heif", ".avif", ".jp2")
)
# Complete files from real encoders make the decoder say these; anything else it says is damage.
_TOLERATED = re.compile(
    "extraneous bytes before marker"
    "|Could not determine subsampling level"
    "|Invalid SOS parameters for sequential JPEG"
)


@dataclass(frozen=True)
class SourceImage:
    """A decoded image. `pixels` is uint8 [H,W,3], BGR, upright.

    Fewer than the header says if whoever read it needed fewer; `notes` say so then.
    """

    pixels: Pixels
    header: ImageHeader
    sha256: str  # of the file's bytes
    notes: tuple[str, ...]  # what a user may want to know: what was left out, what looked damaged


def read_image(path: Path, needed: Optional[Needed] = None) -> SourceImage:
    """Read and decode an image file; links to files are followed. `needed` as in `decode`.

    Raises ImageError that gives the file's name and the reason.
    """
    return decode(ImageFile.read(path), needed)


def decode_image(data: bytes, name: str, needed: Optional[Needed] = None) -> SourceImage:
    """As `decode`, of an image file given as bytes; `name` is what error messages call it."""
    return decode(ImageFile(data, name), needed)


def decode(file: ImageFile, needed: Optional[Needed] = None) -> SourceImage:
    """Decode an image file.

    `needed` tells from the header which size the pixels will be resized to, if nobody wants them
    in full: a JPEG of at least four times that may then be decoded at a half, quarter or eighth.
    Raises ImageError that gives the file's name and the reason, and what `needed` raises.
    """
    header = file.header
    factor = reduction(header, needed(header)) if needed and header.format == "JPEG" else 1
    try:
        if header.format == "JPEG":
            pixels, warnings = _decode_jpeg(file.data, header, factor)
        else:
            still = without_animation(file.data) if header.format == "PNG" else file.data
            pixels, warnings = _decode_by_opencv(still, factor), ()
    except (ValueError, cv2.error) as error:
        unusual = ", or stored in an unusual way" if header.format != "JPEG" else ""
        advice = f"damaged{unusual}: {first_line(error)}; copy it again, or save it as 8-bit PNG"
        raise refusal(file.name, advice) from error
    if pixels.shape != (header.height_px // factor, header.width_px // factor, 3):
        raise refusal(file.name, f"damaged: its pixels are {pixels.shape}, its header differs")
    reduced = (f"decoded at 1/{factor} of its size",) if factor > 1 else ()
    return SourceImage(pixels, header, file.sha256, header.notes + warnings + reduced)


def list_images(folder: Path) -> list[Path]:
    """All files under `folder` with an image's extension, sorted.

    Hidden files and folders are skipped and links to folders are not followed. Names decide, not
    contents, so that a damaged image is reported when it is read. Raises InputError if the
    folder, or one inside it, cannot be listed.
    """
    if not folder.is_dir():
        raise InputError(f"{printable(folder)}: not a folder; expected a folder of images")
    found: list[Path] = []
    for parent, subfolders, names in os.walk(folder, onerror=_cannot_list):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        found += [Path(parent, name) for name in names if _is_image_name(name)]
    return sorted(found)


def _is_image_name(name: str) -> bool:
    return not name.startswith(".") and Path(name).suffix.lower() in IMAGE_EXTENSIONS


def _cannot_list(error: OSError) -> None:
    folder = printable(Path(error.filename))
    raise InputError(f"{folder}: cannot be listed ({error.strerror}); make it readable") from error


def _decode_jpeg(data: bytes, header: ImageHeader, factor: int) -> tuple[Pixels, tuple[str, ...]]:
    height, width = header.height_px // factor, header.width_px // factor
    if header.orientation >= 5:  # stored lying on its side
        height, width = width, height
    # It takes the smallest size that is not below these.
    least = {"min_height": height, "min_width": width}
    try:
        stored = simplejpeg.decode_jpeg(data, "BGR", strict=True, **least)
        return _TO_UPRIGHT[header.orientation](stored), ()
    except ValueError as error:
        if not _TOLERATED.search(str(error)):
            raise
        return _decode_by_opencv(data, factor), (f"the decoder warned: {first_line(error)}",)


def _decode_by_opencv(data: bytes, factor: int) -> Pixels:
    """OpenCV turns the picture upright itself."""
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), _FLAGS[factor])
    if pixels is None:
        raise ValueError("its pixels cannot be decoded")
    return pixels.astype(np.uint8, copy=False)


_FLAGS = {
    1: cv2.IMREAD_COLOR,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}


def _flip(axis: int) -> Callable[[Pixels], Pixels]:
    return lambda pixels: cv2.flip(pixels, axis).astype(np.uint8, copy=False)


def _turn(code: int) -> Callable[[Pixels], Pixels]:
    return lambda pixels: cv2.rotate(pixels, code).astype(np.uint8, copy=False)


_TO_UPRIGHT: dict[int, Callable[[Pixels], Pixels]] = {
    1: lambda pixels: pixels,
    2: _flip(1),
    3: _turn(cv2.ROTATE_180),
    4: _flip(0),
    5: lambda pixels: np.ascontiguousarray(pixels.transpose(1, 0, 2)),
    6: _turn(cv2.ROTATE_90_CLOCKWISE),
    7: lambda pixels: np.ascontiguousarray(pixels[::-1, ::-1].transpose(1, 0, 2)),
    8: _turn(cv2.ROTATE_90_COUNTERCLOCKWISE),
}
