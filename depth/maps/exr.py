"""Depth as OpenEXR: one 32-bit float channel "Z", ZIP compression, a string attribute "depth".

"Z" is the format's own name for depth. OpenCV knows only R, G, B and Y, and returns zeros for it.
Files are written with the OpenEXR package. They are read here, without it: given damaged pixels,
it prints to stdout and hands back a file without parts, and its older interface crashes.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from depth.errors import DepthFileError
from depth.maps.meta import check_size
from depth.maps.result import FloatArray

CHANNEL = "Z"
ATTRIBUTE = "depth"

_MAGIC = b"v/1\x01"
_PLAIN_VERSION = 2  # one part, scan lines; flags for tiles, parts and deep data all clear
_LONG_NAMES = 0x400
_ZIP = b"\x03"
_ZIP_ROWS = 16
_INCREASING_Y = b"\0"
# Name, float, not perceptually linear, sampled at every pixel; and the end of the list.
_CHANNELS = CHANNEL.encode() + b"\0" + struct.pack("<iB3xii", 2, 0, 1, 1) + b"\0"


def encode_exr(values: FloatArray, text: str) -> bytes:
    """[H,W] float32 as an EXR file."""
    import OpenEXR  # type: ignore[import-not-found]

    header = {
        "compression": OpenEXR.ZIP_COMPRESSION,
        "type": OpenEXR.scanlineimage,
        ATTRIBUTE: text,
    }
    stream = io.BytesIO()
    # No threads of its own: the caller writes many images at once.
    with OpenEXR.File(header, {CHANNEL: np.ascontiguousarray(values)}, num_threads=0) as image:
        image.write(stream)
    return stream.getvalue()


def decode_exr(data: bytes) -> tuple[FloatArray, str | None]:
    """[H,W] float32 and the text that `encode_exr` put in, if it is there.

    Raises DepthFileError, also for EXR files of another make-up than `encode_exr` writes.
    """
    try:
        header, at = _header(data)
        height_px, width_px = _size(header)
        rows = np.empty((height_px, width_px), "<f4")
        for top, block in _blocks(data, at, height_px, width_px * 4):
            rows[top : top + _ZIP_ROWS] = np.frombuffer(block, "<f4").reshape(-1, width_px)
        text = header.get(ATTRIBUTE.encode())
        return rows.astype(np.float32, copy=False), None if text is None else text.decode("utf-8")
    except (ValueError, struct.error, zlib.error) as error:
        raise DepthFileError(f"damaged EXR: {error}") from error


def _header(data: bytes) -> tuple[dict[bytes, bytes], int]:
    """Attribute name -> its bytes, and where the header ends."""
    if not data.startswith(_MAGIC):
        raise DepthFileError("not an EXR file")
    if struct.unpack_from("<i", data, 4)[0] & ~_LONG_NAMES != _PLAIN_VERSION:
        raise DepthFileError("an EXR with tiles or several parts: expected plain scan lines")
    attributes = {}
    at = 8
    while data[at : at + 1] != b"\0":
        name_end = data.index(b"\0", at)
        type_end = data.index(b"\0", name_end + 1)
        (size,) = struct.unpack_from("<I", data, type_end + 1)
        value = data[type_end + 5 : type_end + 5 + size]
        if len(value) != size:
            raise ValueError("its header is cut off")
        attributes[data[at:name_end]] = value
        at = type_end + 5 + size
    return attributes, at + 1


def _size(header: dict[bytes, bytes]) -> tuple[int, int]:
    """Rows and columns, after checking that this is the kind of EXR that can be read."""
    kind = tuple(header.get(name) for name in (b"channels", b"compression", b"lineOrder"))
    if kind != (_CHANNELS, _ZIP, _INCREASING_Y):
        raise DepthFileError(
            f"an EXR of another make-up: expected one float channel {CHANNEL!r}, ZIP compression, "
            "rows from the top"
        )
    left, top, right, bottom = struct.unpack("<4i", header.get(b"dataWindow", b""))
    height_px, width_px = bottom - top + 1, right - left + 1
    check_size(height_px, width_px)
    if (left, top) != (0, 0):
        raise DepthFileError(f"an EXR whose data window starts at ({left}, {top}): expected (0, 0)")
    return height_px, width_px


def _blocks(data: bytes, at: int, height_px: int, row_bytes: int) -> Iterator[tuple[int, bytes]]:
    """First row and unpacked bytes of each block of rows; `at` is the table of their places."""
    tops = range(0, height_px, _ZIP_ROWS)
    for top, place in zip(tops, struct.unpack_from(f"<{len(tops)}Q", data, at)):
        row, size = struct.unpack_from("<2i", data, min(place, len(data)))
        packed = data[place + 8 : place + 8 + max(size, 0)]
        expected = min(_ZIP_ROWS, height_px - top) * row_bytes
        if row != top or len(packed) != size:
            raise ValueError(f"the block of row {top} is cut off or misplaced")
        yield top, packed if size == expected else _unzip(packed, expected)


def _unzip(packed: bytes, expected: int) -> bytes:
    """Undoes deflate, then differences between neighbours, then the split into two halves."""
    inflate = zlib.decompressobj()
    differences = inflate.decompress(packed, expected + 1)  # one more, to reach the checksum
    if len(differences) != expected or not inflate.eof:
        raise ValueError(f"a block does not unpack to {expected} bytes")
    steps = np.frombuffer(differences, np.uint8).copy()
    steps[1:] -= 128  # stored as difference + 128, modulo 256
    halves: npt.NDArray[np.uint8] = np.add.accumulate(steps, dtype=np.uint8)
    middle = (expected + 1) // 2
    block = np.empty(expected, np.uint8)
    block[0::2], block[1::2] = halves[:middle], halves[middle:]
    return block.tobytes()
