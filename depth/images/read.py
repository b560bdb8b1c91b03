"""Reads input images: the pixels of OpenCV's `imread`, and a reason for every refusal.

Upstream reads images with `cv2.imread`, so its pixels are the reference. JPEG is decoded by
simplejpeg, which gives the same pixels faster and tells a truncated file from a complete one
(`cv2.imread` fills the missing part with gray). Everything here may be called from many threads.

Both libraries are imported at the first image: a program loads meanwhile, which needs neither.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, Optional

import numpy as np
import numpy.typing as npt

from depth.errors import ImageError, first_line
from depth.files import reading
from depth.images.containers import parse_header, without_strays
from depth.images.header import NO_END_MARKER, ImageHeader
from depth.images.png import picture_only
from depth.images.tiff import has_plain_tiles

Pixels = npt.NDArray[np.uint8]

# Complete files from real encoders make the decoder say these; anything else it says is damage.
_TOLERATED = re.compile(
    "extraneous bytes before marker"
    "|Could not determine subsampling level"
    "|Invalid SOS parameters for sequential JPEG"
    "|unknown JFIF revision|Unknown Adobe color transform|bad ICC marker"
)


MAX_FILE_BYTES = 200_000_000
_TOO_LARGE = f"over the limit of {MAX_FILE_BYTES // 1_000_000} MB; reduce it first"

Needed = Callable[[ImageHeader], tuple[int, int]]  # the (height, width) px it will be resized to

_FACTORS = (8, 4, 2)
# Cubic resizing without a filter, the reference, needs what is above its target's resolution.
_MARGIN = 2


class ImageFile:
    """The bytes of an image file, and their hex SHA-256. `name` is what error messages call it.

    Safe in any thread.
    """

    def __init__(self, data: bytes, name: str) -> None:
        self.data = data
        self.name = name
        self.sha256 = hashlib.sha256(data).hexdigest()

    @staticmethod
    def read(path: Path) -> ImageFile:
        """Read a file; links to files are followed.

        Raises ImageError, with name and reason, instead of waiting on a pipe or a device.
        """
        name = printable(path)
        try:
            with reading(path) as file:
                if os.fstat(file.fileno()).st_size > MAX_FILE_BYTES:
                    raise refusal(name, _TOO_LARGE)
                return ImageFile(file.read(MAX_FILE_BYTES + 1), name)
        except OSError as error:
            folder = error.errno == errno.EINVAL and path.is_dir()  # not a regular file
            reason = "a folder" if folder else error.strerror
            raise refusal(name, f"cannot be read ({reason})") from error

    @cached_property
    def header(self) -> ImageHeader:
        """Size, format and orientation, parsed once.

        Raises ImageError, with name and reason, for whatever decoding would refuse, except damage
        that only decoding can show.
        """
        if not self.data:
            raise refusal(self.name, "empty (0 bytes)")
        if len(self.data) > MAX_FILE_BYTES:
            raise refusal(self.name, _TOO_LARGE)
        try:
            return parse_header(self.data)
        except ImageError as error:
            raise refusal(self.name, str(error)) from error


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
    import cv2

    header = file.header
    factor = reduction(header, needed(header)) if needed and header.format == "JPEG" else 1
    try:
        _quiet()
        if header.format == "JPEG":
            end = b"\xff\xd9" if NO_END_MARKER in header.notes else b""
            pixels, warnings = _decode_jpeg(file.data + end, header, factor)
        else:
            pixels, warnings = _decode_others(file.data, header), ()
    except (ValueError, cv2.error) as error:
        unusual = ", or stored in an unusual way" if header.format != "JPEG" else ""
        advice = f"damaged{unusual}: {first_line(error)}; copy it again, or save it as 8-bit PNG"
        raise refusal(file.name, advice) from error
    except OSError as error:  # of a temporary file
        raise refusal(file.name, f"cannot be decoded ({error.strerror})") from error
    if pixels.shape != (header.height_px // factor, header.width_px // factor, 3):
        raise refusal(file.name, f"damaged: its pixels are {pixels.shape}, its header differs")
    reduced = (f"decoded at 1/{factor} of its size",) if factor > 1 else ()
    return SourceImage(pixels, header, file.sha256, header.notes + warnings + reduced)


def _decode_jpeg(data: bytes, header: ImageHeader, factor: int) -> tuple[Pixels, tuple[str, ...]]:
    import simplejpeg  # type: ignore[import-untyped]

    height, width = header.height_px // factor, header.width_px // factor
    if header.orientation >= 5:  # stored lying on its side
        height, width = width, height
    # It takes the smallest size that is not below these.
    least = {"min_height": height, "min_width": width}
    upright = _TO_UPRIGHT[header.orientation]
    try:
        return upright(simplejpeg.decode_jpeg(data, "BGR", strict=True, **least)), ()
    except ValueError as error:
        _check_tolerated(error)
        if NO_END_MARKER in header.notes:  # OpenCV would not tell whether it is whole
            raise ValueError("the end of the picture is missing") from error
        notes = (f"the decoder warned: {first_line(error)}",)
    for strict in (True, False):  # the first looks for damage behind what was warned about
        try:
            clean = without_strays(data)
            return upright(simplejpeg.decode_jpeg(clean, "BGR", strict=strict, **least)), notes
        except ValueError as error:
            _check_tolerated(error)
    return _decode_by_opencv(data, factor), notes  # libjpeg prints the warning


def _check_tolerated(error: ValueError) -> None:
    if not _TOLERATED.search(str(error)):
        raise error


@cache
def _quiet() -> None:
    """Keep OpenCV's own log off stderr, once: what fails is an ImageError."""
    import cv2

    cv2.setLogLevel(0)


def _decode_others(data: bytes, header: ImageHeader) -> Pixels:
    import cv2

    if header.format == "PNG":
        return _decode_by_opencv(picture_only(data))
    if header.format == "TIFF" and has_plain_tiles(data):
        with NamedTemporaryFile(suffix=".tiff") as file:
            file.write(data)
            file.flush()
            return _whole(cv2.imread(file.name))
    return _decode_by_opencv(data)


def _decode_by_opencv(data: bytes, factor: int = 1) -> Pixels:
    """OpenCV turns the picture upright itself."""
    import cv2

    flag = cv2.IMREAD_COLOR if factor == 1 else getattr(cv2, f"IMREAD_REDUCED_COLOR_{factor}")
    return _whole(cv2.imdecode(np.frombuffer(data, np.uint8), flag))


def _whole(pixels: Optional[npt.NDArray[Any]]) -> Pixels:
    if pixels is None:
        raise ValueError("its pixels cannot be decoded")
    return pixels.astype(np.uint8, copy=False)


def _flip(axis: int) -> Callable[[Pixels], Pixels]:
    def upright(pixels: Pixels) -> Pixels:
        import cv2

        return cv2.flip(pixels, axis).astype(np.uint8, copy=False)

    return upright


def _turn(code: str) -> Callable[[Pixels], Pixels]:
    def upright(pixels: Pixels) -> Pixels:
        import cv2

        return cv2.rotate(pixels, getattr(cv2, code)).astype(np.uint8, copy=False)

    return upright


_TO_UPRIGHT: dict[int, Callable[[Pixels], Pixels]] = {
    1: lambda pixels: pixels,
    2: _flip(1),
    3: _turn("ROTATE_180"),
    4: _flip(0),
    5: lambda pixels: np.ascontiguousarray(pixels.transpose(1, 0, 2)),
    6: _turn("ROTATE_90_CLOCKWISE"),
    7: lambda pixels: np.ascontiguousarray(pixels[::-1, ::-1].transpose(1, 0, 2)),
    8: _turn("ROTATE_90_COUNTERCLOCKWISE"),
}


def reduction(header: ImageHeader, needed: tuple[int, int]) -> int:
    """1, 2, 4 or 8: what both sides of a JPEG are divided by for a resize to `needed` px.

    A decoder can stop its inverse transform at 4x4, 2x2 or 1x1 of each block's 8x8 pixels (ITU-T
    T.81; `scale_num` and `scale_denom` of libjpeg). What it leaves out is never computed.

    `needed`: (height, width) px.

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


def refusal(name: str, reason: str) -> ImageError:
    """Why an image called `name` is not processed."""
    expected = "a complete JPEG, PNG, WebP, BMP, TIFF, PGM or PPM image"
    return ImageError(f"{name}: {reason}. Expected {expected}")


def printable(path: Path) -> str:
    """The path as text that can be written anywhere, whatever bytes its name has."""
    return str(path).encode("utf-8", "backslashreplace").decode()
