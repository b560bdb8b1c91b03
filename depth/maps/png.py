"""PNG: a map as 16-bit gray, with a text chunk that says what its codes mean; and pictures.

Files are written fast: rows filtered by numpy, compressed by Intel's ISA-L. At 2048 x 1362 and 16
bits about 15 ms, where libpng takes 41 ms or more for a larger file. The format: W3C, "Portable
Network Graphics (PNG) Specification".
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Optional, Union

import numpy as np
import numpy.typing as npt
from isal import isal_zlib

from depth.errors import DepthFileError, ImageError, InputError
from depth.family import METRES
from depth.images.png import ANIMATION, SIGNATURE, png_chunks
from depth.maps.meta import MAX_JSON_BYTES, check_size
from depth.maps.result import FloatArray, Map

Codes = npt.NDArray[np.uint16]
Buffer = Union[bytes, memoryview]

MAX_CODE = 65535
MILLIMETRE = 0.001
KITTI_STEP_M = 1 / 256  # KITTI's unit: 80 m and more, where millimetres end at 65.5 m
# Below this the stretch factor leaves float32's range; such an image is constant for everyone.
_SMALLEST_RANGE = 1e-30

_ROWS = 64  # coded at a time, so that the temporaries stay in the cache

KEYWORD = b"depth"  # of the tEXt chunk
_GRAY, _RGB = 0, 2  # colour types
_FILTER_UP = 2  # each row as its difference to the one above: depth is smooth downwards
_LEVEL = 1  # higher levels take longer and save less than 3 %
_PIECE_BYTES = 1 << 22  # of pixels in a chunk; OpenCV 4.11 prints a warning of one over 8 MB


@dataclass(frozen=True)
class Coding:
    """value = offset + scale * code."""

    scale: float
    offset: float


def coding_for(found: Map) -> Coding:
    """Metres keep a fixed unit, whatever the image; other kinds fill the codes from end to end.

    Metres without a largest value, further than any fixed unit reaches, fill the codes from 0.
    Raises InputError for metres that the unit cannot hold.
    """
    if found.kind == METRES:
        return _metres_coding(found.largest, float(found.values.min()), float(found.values.max()))
    low, high = found.ends
    if high - low < _SMALLEST_RANGE:
        return Coding(0.0, low)
    if not high - low <= float(np.finfo(np.float32).max):  # NaN too
        raise InputError(
            f"depth reaches from {low:g} to {high:g}: expected finite numbers, no wider than "
            "float32's range"
        )
    return Coding((high - low) / MAX_CODE, low)


def _metres_coding(largest: Optional[float], low: float, high: float) -> Coding:
    reach = high if largest is None else largest
    scale = MILLIMETRE if reach <= MAX_CODE * MILLIMETRE else KITTI_STEP_M
    if largest is None:
        scale = max(scale, high / MAX_CODE)
    # float32 may land just above. NaN is in no range.
    if not (-scale / 2 <= low and high < (MAX_CODE + 0.25) * scale):
        raise InputError(
            f"depth reaches from {low:g} to {high:g} m; 16-bit PNG in steps of {scale:g} m holds "
            f"0 to {MAX_CODE * scale:g} m: write a float format such as tiff or npy"
        )
    return Coding(scale, 0.0)


def to_codes(values: FloatArray, coding: Coding) -> Codes:
    """[H,W] float32 -> [H,W] uint16, rounded to nearest.

    The offset goes first: in float32, `values * factor - offset * factor` would cancel.
    """
    if coding.scale == 0:
        return np.zeros(values.shape, np.uint16)
    codes = np.empty(values.shape, np.uint16)
    for start in range(0, len(values), _ROWS):
        rows = slice(start, start + _ROWS)
        part = values[rows] - np.float32(coding.offset)
        part *= np.float32(1 / coding.scale)
        part += np.float32(0.5)
        codes[rows] = part
    return codes


def from_codes(codes: Codes, coding: Coding) -> FloatArray:
    """[H,W] uint16 -> [H,W] float32. Raises DepthFileError if a code means no finite float32."""
    with np.errstate(over="ignore"):
        table = (coding.offset + coding.scale * np.arange(MAX_CODE + 1.0)).astype(np.float32)
    if not np.isfinite(table).all():
        raise DepthFileError(f"its scale {coding.scale:g} leaves the range of float32")
    return table[codes]


def encode(pixels: npt.NDArray[np.generic], text: str = "") -> bytes:
    """[H,W] uint16 or uint8 gray, or [H,W,3] uint8 BGR, as a PNG file.

    `text` is the ASCII content of a tEXt chunk with KEYWORD, left out if it is empty.
    """
    height, width = pixels.shape[:2]
    if pixels.ndim == 3:
        pixels = pixels[:, :, ::-1]
    rows = pixels.astype(pixels.dtype.newbyteorder(">"), order="C").view(np.uint8)
    rows = rows.reshape(height, -1)
    filtered = np.empty((height, 1 + rows.shape[1]), np.uint8)
    filtered[:, 0] = _FILTER_UP
    filtered[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
    colour = _GRAY if pixels.ndim == 2 else _RGB
    header = struct.pack(">IIBBBBB", width, height, 8 * pixels.itemsize, colour, 0, 0, 0)
    parts = [SIGNATURE, *_chunk(b"IHDR", header)]
    if text:
        parts += _chunk(b"tEXt", KEYWORD + b"\0" + text.encode("ascii"))
    content = memoryview(isal_zlib.compress(filtered, _LEVEL))
    for start in range(0, len(content), _PIECE_BYTES):
        parts += _chunk(b"IDAT", content[start : start + _PIECE_BYTES])
    return b"".join([*parts, *_chunk(b"IEND", b"")])


def _chunk(kind: bytes, content: Buffer) -> tuple[Buffer, ...]:
    """In parts: megabytes are copied once, when all of them are joined."""
    checksum = isal_zlib.crc32(content, isal_zlib.crc32(kind))
    return struct.pack(">I", len(content)), kind, content, struct.pack(">I", checksum)


def decode_png(data: bytes) -> tuple[Codes, str | None]:
    """The codes, and the text that `png.encode` put in if it is still there.

    Raises DepthFileError. Checksums and the declared size are verified before OpenCV allocates the
    pixels; given a damaged file, it prints to stderr.
    """
    if not data.startswith(SIGNATURE + b"\0\0\0\x0dIHDR"):
        raise DepthFileError("not a PNG file")
    text = None
    height_px = width_px = 0
    try:
        for chunk in png_chunks(data):
            if not chunk.intact:
                raise DepthFileError(f"damaged PNG: a chunk {chunk.kind!r} was altered")
            if chunk.kind == b"IHDR":
                width_px, height_px = _gray16_size(chunk.content)
            elif chunk.kind in ANIMATION:
                raise DepthFileError("an animated PNG: expected one picture")
            elif chunk.kind == b"tEXt":
                text = _text(chunk.content) or text
    except ImageError as error:
        raise DepthFileError(f"damaged PNG: {error}") from error
    check_size(height_px, width_px)
    import cv2  # to read only, and it takes longer to import than the rest

    try:
        codes = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise DepthFileError(f"OpenCV cannot decode the PNG: {error}") from error
    if codes is None or codes.shape != (height_px, width_px) or codes.dtype != np.uint16:
        raise DepthFileError("damaged PNG: its pixels cannot be decoded")
    return codes.astype(np.uint16, copy=False), text


def _text(content: memoryview) -> Optional[str]:
    keyword, _, text = content[: MAX_JSON_BYTES + 80].tobytes().partition(b"\0")
    return text.decode("latin-1") if keyword == KEYWORD else None


def _gray16_size(header: memoryview) -> tuple[int, int]:
    """Width and height in an IHDR chunk of a 16-bit gray picture."""
    if len(header) != 13:
        raise DepthFileError("damaged PNG: its header has a wrong length")
    width_px, height_px, bits, colour = struct.unpack_from(">IIBB", header)
    if (bits, colour) != (16, 0):
        raise DepthFileError(
            "a PNG, but not 16-bit gray: previews and other pictures hold no depth values; "
            "read the depth file or the .json beside it"
        )
    return width_px, height_px
