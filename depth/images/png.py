"""PNG: its chunks, the header of a file, and the file with its picture only.

Source: W3C recommendation, third edition (chunks; animation control and frame chunks).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from depth.errors import ImageError
from depth.images.header import (
    ALPHA_IGNORED,
    FIRST_FRAME,
    MAX_PARTS,
    SIXTEEN_BIT,
    TRUNCATED,
    ImageHeader,
    checked_header,
    named_mode,
)
from depth.images.tiff import exif_orientation

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_MODES = {0: "L", 2: "RGB", 3: "P", 4: "LA", 6: "RGBA"}
_BITS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
ANIMATION = frozenset((b"acTL", b"fcTL", b"fdAT"))  # OpenCV 4.11 crashes on damaged ones
# OpenCV does not apply them, and libpng prints warnings about damaged ones.
_COLOUR_SPACES = frozenset((b"iCCP", b"sRGB", b"gAMA", b"cHRM"))


@dataclass(frozen=True)
class Chunk:
    """One chunk of a file."""

    kind: bytes
    whole: memoryview  # with length, kind and checksum

    @property
    def content(self) -> memoryview:
        return self.whole[8:-4]

    @property
    def intact(self) -> bool:
        return bool(struct.unpack(">I", self.whole[-4:])[0] == zlib.crc32(self.whole[4:-4]))


def read_png(data: bytes) -> ImageHeader:
    """Raises ImageError, struct.error if a chunk is shorter than it has to be."""
    chunks: dict[bytes, memoryview] = {}
    for chunk in png_chunks(data):
        if chunk.intact:  # a damaged chunk that is not critical is skipped, as every reader does
            chunks.setdefault(chunk.kind, chunk.content)
        elif chunk.kind[:1].isupper():
            raise ImageError("damaged: a PNG checksum is wrong; copy or download it again")
    if b"IHDR" not in chunks or b"IDAT" not in chunks:
        raise ImageError("damaged: a PNG without header or pixels")
    width, height, bits, colour, *rest = struct.unpack_from(">IIBBBBB", chunks[b"IHDR"])
    if bits not in _BITS.get(colour, ()) or rest not in ([0, 0, 0], [0, 0, 1]):
        raise ImageError(
            f"damaged: a PNG of {bits} bits, colour type {colour}, with compression, filter and "
            f"interlacing {rest}"
        )
    mode = _MODES[colour]
    frames = struct.unpack_from(">I", chunks[b"acTL"])[0] if b"acTL" in chunks else 1
    notes = {
        ALPHA_IGNORED: mode in ("LA", "RGBA") or b"tRNS" in chunks,
        SIXTEEN_BIT: bits == 16,
        FIRST_FRAME: frames > 1,
    }
    exif = bytes(chunks.get(b"eXIf", b""))
    kind = ("PNG", named_mode(mode, bits))
    return checked_header((width, height), kind, exif_orientation(exif), notes, exif)


def picture_only(data: bytes) -> bytes:
    """The file without the chunks of an animation and of colour spaces, damaged or not.

    The pixels that OpenCV reads stay the same. OpenCV 4.11 believes what an animation's chunks
    say, writes where they say, and ends the process. Raises ImageError for what `read_png` would
    call truncated.
    """
    chunks = list(png_chunks(data))
    kept = [chunk.whole for chunk in chunks if chunk.kind not in ANIMATION | _COLOUR_SPACES]
    return data if len(kept) == len(chunks) else b"".join([data[:8], *kept])


def png_chunks(data: bytes) -> Iterator[Chunk]:
    """Each chunk up to IEND, damaged or not. Raises ImageError for a file that ends earlier."""
    view, position = memoryview(data), 8
    for _ in range(MAX_PARTS):
        if position + 12 > len(view):
            break
        (length,) = struct.unpack_from(">I", view, position)
        end = position + 12 + length
        if end > len(view):
            break
        chunk = Chunk(bytes(view[position + 4 : position + 8]), view[position:end])
        yield chunk
        if chunk.kind == b"IEND":
            return
        position = end
    raise ImageError(TRUNCATED.format("the end of the picture"))
