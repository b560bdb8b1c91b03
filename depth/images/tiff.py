"""The first directory of a TIFF file, and the orientation in an EXIF block (a small TIFF).

Layout: TIFF 6.0 specification, section 2; BigTIFF has the same fields with 64-bit sizes.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from depth.errors import ImageError

ORIENTATION = 274
_COMPRESSION, _NONE = 259, 1
_TILE_OFFSETS = 324
_TEXTS = (270, 271, 272)  # description, make, model: the tags before it
_TIFF, _BIG_TIFF = 42, 43
_MAX_FIELDS = 4096
_DTYPES = {1: "u1", 3: "u2", 4: "u4", 16: "u8"}  # BYTE, SHORT, LONG, LONG8
_BYTES = (0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8, 8, 8)  # a value of each type takes
_MARKS = {b"II*\0": "<", b"II+\0": "<", b"MM\0*": ">", b"MM\0+": ">"}


Values = npt.NDArray[np.unsignedinteger[Any]]


@dataclass(frozen=True)
class TiffDirectory:
    """The whole-number fields of a TIFF file's first image, by tag."""

    fields: dict[int, Values]  # views into the file
    more_pages: bool

    def get(self, tag: int, default: int) -> int:
        """The first value of a field."""
        values = self.fields.get(tag)
        return default if values is None or not values.size else int(values[0])


def read_directory(data: bytes) -> TiffDirectory:
    """The first directory of a TIFF or BigTIFF file.

    Raises ImageError or struct.error if the directory, or a field of it, leaves the file.
    """
    order = _MARKS[data[:4]]
    big = struct.unpack_from(order + "H", data, 2)[0] == _BIG_TIFF
    (start,) = struct.unpack_from(order + ("Q" if big else "I"), data, 8 if big else 4)
    (count,) = struct.unpack_from(order + ("Q" if big else "H"), data, start)
    if count > _MAX_FIELDS:
        raise ImageError(f"its TIFF directory has {count} fields, the limit is {_MAX_FIELDS}")
    entry = struct.Struct(order + ("HHQQ" if big else "HHII"))
    first = start + (8 if big else 2)
    fields: dict[int, Values] = {}
    total_bytes = 0
    for position in range(first, first + count * entry.size, entry.size):
        tag, kind, length, offset = entry.unpack_from(data, position)
        total_bytes += length * (_BYTES[kind] if kind < len(_BYTES) else 0)
        if kind in _DTYPES:
            dtype = np.dtype(order + _DTYPES[kind])
            inline = entry.size // 2 - 2  # a value this short is stored in place of its offset
            if length * dtype.itemsize <= inline:
                offset = position + entry.size - inline
            fields.setdefault(tag, _values(data, dtype, length, offset))
    if total_bytes > len(data):  # fields that share bytes: libtiff would read each of them
        raise ImageError("damaged: the fields of its TIFF directory are longer than the file")
    next_at = first + count * entry.size
    following = data[next_at : next_at + (8 if big else 4)]  # a file may end before it: no page
    return TiffDirectory(fields, any(following))


def _values(data: bytes, dtype: np.dtype[Any], length: int, offset: int) -> Values:
    if offset + length * dtype.itemsize > len(data):
        raise ImageError("truncated: a TIFF field lies beyond the end of the file")
    return np.frombuffer(data, dtype, length, offset)


def has_plain_tiles(data: bytes) -> bool:
    """Whether the first page is in uncompressed tiles.

    OpenCV 4.11 reads those from a file. From memory it fails if a tile's bytes are no multiple of
    1024, as with 16 or 48 px a side.
    """
    page = read_directory(data)
    return _TILE_OFFSETS in page.fields and page.get(_COMPRESSION, _NONE) == _NONE


def exif_orientation(block: bytes) -> int:
    """EXIF orientation 1..8; 1 if there is none.

    A damaged block is understood, or not, exactly as by OpenCV, which turns pictures by it: any
    byte order mark but II is big-endian, and a text before the orientation must be complete.
    """
    order = "<" if block[:2] == b"II" else ">"
    try:
        version, start = struct.unpack_from(order + "2xHI", block)
        if version != _TIFF:
            return 1
        (count,) = struct.unpack_from(order + "H", block, start)
        for position in range(start + 2, start + 2 + 12 * count, 12):
            tag, length, offset = struct.unpack_from(order + "H2xII", block, position)
            if tag in _TEXTS and length > 4 and offset + length > len(block):
                return 1
            if tag == ORIENTATION:
                (value,) = struct.unpack_from(order + "H", block, position + 8)
                return value if 1 <= value <= 8 else 1
    except struct.error:
        pass
    return 1
