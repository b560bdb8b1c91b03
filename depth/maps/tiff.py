"""Depth as TIFF: float32 values in one uncompressed strip, a text in ImageDescription.

Files are written with tifffile and read here: what we write needs few tags, and given a damaged
file tifffile raises nearly any exception there is.
"""

from __future__ import annotations

import io
import struct
from typing import Union

import numpy as np

from depth.errors import DepthFileError
from depth.maps.meta import check_size
from depth.maps.result import FloatArray

Tags = dict[int, Union[bytes, int]]

_LITTLE_ENDIAN = b"II*\0"
_WIDTH, _HEIGHT, _DESCRIPTION, _OFFSETS, _BYTES = 256, 257, 270, 273, 279
_PLAIN = {258: 32, 259: 1, 277: 1, 339: 3}  # bits, compression, samples, float
_ASCII, _SHORT, _LONG = 2, 3, 4
_CODES = {_ASCII: "s", _SHORT: "H", _LONG: "I"}


def encode_tiff(values: FloatArray, text: str) -> bytes:
    """[H,W] float32 as a TIFF file."""
    import tifffile

    stream = io.BytesIO()
    # Not compressed: zlib takes 205 ms against 5 ms for a fifth of the size (2048 x 1362), and
    # the predictor that would help float32 needs another package.
    tifffile.imwrite(
        stream,
        np.ascontiguousarray(values),
        photometric="minisblack",
        byteorder="<",
        description=text,
        metadata=None,
        software=False,
    )
    return stream.getvalue()


def decode_tiff(data: bytes) -> tuple[FloatArray, str | None]:
    """[H,W] float32 and the text that `encode_tiff` put in, if it is there.

    Raises DepthFileError, also for TIFF files of another make-up than `encode_tiff` writes.
    """
    try:
        tags = _tags(data)
        height_px, width_px, start = (_number(tags, tag) for tag in (_HEIGHT, _WIDTH, _OFFSETS))
        check_size(height_px, width_px)
        expected = height_px * width_px * 4
        if any(tags.get(tag) != value for tag, value in _PLAIN.items()):
            raise DepthFileError("a TIFF of another make-up: expected uncompressed float32 [H,W]")
        if _number(tags, _BYTES) != expected or start + expected > len(data):
            raise DepthFileError("damaged TIFF: its strip does not hold its pixels")
        values = np.frombuffer(data, "<f4", height_px * width_px, start)
        return values.reshape(height_px, width_px).astype(np.float32), _text(tags)
    except (struct.error, UnicodeDecodeError) as error:
        raise DepthFileError(f"damaged TIFF: {error}") from error


def _tags(data: bytes) -> Tags:
    """The description of the first image, and its tags that hold one whole number."""
    if data[:4] != _LITTLE_ENDIAN:
        raise DepthFileError("not a little-endian TIFF file")
    (directory,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, directory)
    tags: Tags = {}
    for at in range(directory + 2, directory + 2 + 12 * count, 12):
        tag, kind, length = struct.unpack_from("<HHI", data, at)
        wanted = length == 1 or (tag, kind) == (_DESCRIPTION, _ASCII)
        if kind in _CODES and wanted and tag not in tags:
            layout = f"<{length}{_CODES[kind]}"
            inline = struct.calcsize(layout) <= 4
            place = at + 8 if inline else struct.unpack_from("<I", data, at + 8)[0]
            (tags[tag], *_) = struct.unpack_from(layout, data, place)
    return tags


def _number(tags: Tags, tag: int) -> int:
    value = tags.get(tag)
    if not isinstance(value, int):
        raise DepthFileError(f"a TIFF without one usable value for tag {tag}")
    return value


def _text(tags: Tags) -> str | None:
    text = tags.get(_DESCRIPTION)
    return text.rstrip(b"\0").decode("utf-8") if isinstance(text, bytes) else None
