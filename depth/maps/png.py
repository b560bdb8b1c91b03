"""Writing PNG files fast: rows filtered by numpy, compressed by Intel's ISA-L.

At 2048 x 1362 and 16 bits about 15 ms, where libpng takes 41 ms or more for a larger file.
The format: W3C, "Portable Network Graphics (PNG) Specification".
"""

from __future__ import annotations

import struct

import numpy as np
import numpy.typing as npt
from isal import isal_zlib

from depth.images.png import SIGNATURE

KEYWORD = b"depth"  # of the tEXt chunk
_GRAY, _RGB = 0, 2  # colour types
_FILTER_UP = 2  # each row as its difference to the one above: depth is smooth downwards
_LEVEL = 1  # higher levels take longer and save less than 3 %


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
    parts += _chunk(b"IDAT", isal_zlib.compress(filtered, _LEVEL))
    return b"".join([*parts, *_chunk(b"IEND", b"")])


def _chunk(kind: bytes, content: bytes) -> tuple[bytes, ...]:
    """In parts: megabytes are copied once, when all of them are joined."""
    checksum = isal_zlib.crc32(content, isal_zlib.crc32(kind))
    return struct.pack(">I", len(content)), kind, content, struct.pack(">I", checksum)
