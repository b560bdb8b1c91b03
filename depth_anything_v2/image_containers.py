"""Reads the header of each accepted kind of image file without decoding a pixel.

Each reader also checks what tells a complete file from a truncated one, so that most broken files
are refused before a decoder sees them. The readers are our own because decoding libraries print
or warn about what they find, or allocate memory before they check.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator

import numpy as np

from depth_anything_v2.errors import ImageError
from depth_anything_v2.image_header import (
    ALPHA_IGNORED,
    ALPHA_MULTIPLIED,
    CMYK_CONVERTED,
    FIRST_FRAME,
    FIRST_PAGE,
    SIXTEEN_BIT,
    ImageHeader,
    checked_header,
)
from depth_anything_v2.tiff_directory import (
    ORIENTATION,
    TiffDirectory,
    exif_orientation,
    read_directory,
)

_MAX_PARTS = 100_000  # segments or chunks; a 200 MB PNG in chunks of 8 kB has 25,000
_TRUNCATED = "truncated: {} is missing; copy or download it again"


def parse_header(data: bytes) -> ImageHeader:
    """The header of an image file given as bytes.

    Raises ImageError, with the reason only, for anything that is not a complete image of an
    accepted format and size.
    """
    for signature, reader in _READERS:
        if signature.match(data):
            try:
                return reader(data)
            except (struct.error, IndexError, OverflowError) as error:
                raise ImageError(_TRUNCATED.format("part of its header")) from error
    for signature, name in _REFUSED:
        if signature.match(data):
            raise ImageError(f"{name} files are not read; convert it to PNG or JPEG")
    raise ImageError("not an image, or of an unknown format")


# JPEG: ITU-T T.81, annex B

_JPEG_MARKER = re.compile(rb"\xff([^\x00\xff])", re.DOTALL)
_SOI, _EOI, _SOS, _APP1 = 0xD8, 0xD9, 0xDA, 0xE1
_STANDALONE = {0x01, *range(0xD0, 0xD8)}
_FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_MODES = {1: "L", 3: "RGB", 4: "CMYK"}


def _jpeg(data: bytes) -> ImageHeader:
    frame = b""
    orientation = None
    for marker, start, end in _jpeg_segments(data):
        if marker in _FRAMES and not frame:
            frame = data[start:end]
        elif marker == _APP1 and orientation is None:  # OpenCV looks into the first one only
            orientation = exif_orientation(data[start + 6 : end])
    if not frame:
        raise ImageError("damaged: no frame header before the first scan")
    if data.rfind(b"\xff\xd9", end) < 0:
        raise ImageError(_TRUNCATED.format("the end of the picture"))
    bits, height, width, components = struct.unpack_from(">BHHB", frame)
    if bits != 8 or components not in _JPEG_MODES:
        raise ImageError(
            f"a JPEG of {components} components of {bits} bits is not read; convert it to PNG"
        )
    mode = _JPEG_MODES[components]
    notes = {CMYK_CONVERTED: mode == "CMYK"}
    return checked_header((width, height), ("JPEG", mode), orientation or 1, notes)


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Marker, start and end of each segment's content, up to the first scan header."""
    position = 2
    for _ in range(_MAX_PARTS):
        found = _JPEG_MARKER.search(data, position)
        if found is None:
            break
        marker, position = found.group(1)[0], found.end()
        if marker in _STANDALONE:
            continue
        if marker in (_SOI, _EOI):
            raise ImageError("damaged: no picture before its end marker")
        (length,) = struct.unpack_from(">H", data, position)
        yield marker, position + 2, position + length
        if marker == _SOS:
            return
        position += length
    raise ImageError(_TRUNCATED.format("the picture"))


# PNG: W3C recommendation, third edition

_PNG_MODES = {0: "L", 2: "RGB", 3: "P", 4: "LA", 6: "RGBA"}


def _png(data: bytes) -> ImageHeader:
    chunks: dict[bytes, memoryview] = {}
    for kind, content in _png_chunks(memoryview(data)):
        chunks.setdefault(kind, content)
    if b"IHDR" not in chunks or b"IDAT" not in chunks:
        raise ImageError("damaged: a PNG without header or pixels")
    width, height, bits, colour = struct.unpack_from(">IIBB", chunks[b"IHDR"])
    mode = _PNG_MODES.get(colour, "?")
    frames = struct.unpack_from(">I", chunks[b"acTL"])[0] if b"acTL" in chunks else 1
    notes = {
        ALPHA_IGNORED: mode in ("LA", "RGBA") or b"tRNS" in chunks,
        SIXTEEN_BIT: bits == 16,
        FIRST_FRAME: frames > 1,
    }
    orientation = exif_orientation(bytes(chunks.get(b"eXIf", b"")))
    return checked_header((width, height), ("PNG", _mode(mode, bits)), orientation, notes)


def _png_chunks(data: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    """Kind and content of each chunk up to the last one, checksums verified."""
    position = 8
    for _ in range(_MAX_PARTS):
        if position + 12 > len(data):
            break
        (length,) = struct.unpack_from(">I", data, position)
        end = position + 8 + length
        if end + 4 > len(data):
            break
        kind = bytes(data[position + 4 : position + 8])
        intact = struct.unpack_from(">I", data, end)[0] == zlib.crc32(data[position + 4 : end])
        if kind[:1].isupper() and not intact:
            raise ImageError("damaged: a PNG checksum is wrong; copy or download it again")
        if intact:  # a damaged chunk that is not critical is skipped, as every reader does
            yield kind, data[position + 8 : end]
        if kind == b"IEND":
            return
        position = end + 4
    raise ImageError(_TRUNCATED.format("the end of the picture"))


def _mode(base: str, bits: int) -> str:
    if bits == 16:
        return f"{base};16"
    return "1" if bits == 1 and base == "L" else base


# WebP: RFC 9649


def _webp(data: bytes) -> ImageHeader:
    (length,) = struct.unpack_from("<I", data, 4)
    if len(data) < length + 8:
        raise ImageError(_TRUNCATED.format(f"{length + 8 - len(data)} bytes at its end"))
    kind = data[12:16]
    alpha = animated = False
    if kind == b"VP8X":
        flags, width, height = data[20], _u24(data, 24) + 1, _u24(data, 27) + 1
        alpha, animated = bool(flags & 0x10), bool(flags & 0x02)
    elif kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        alpha = bool(bits >> 28 & 1)
    else:
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", data, 26))
    turned = _webp_orientation(data) if kind == b"VP8X" else 1
    notes = {
        ALPHA_IGNORED: alpha,
        FIRST_FRAME: animated,
        f"EXIF orientation {turned} not applied: OpenCV ignores it in WebP files": turned != 1,
    }
    return checked_header((width, height), ("WebP", "RGBA" if alpha else "RGB"), 1, notes)


def _u24(data: bytes, position: int) -> int:
    return int.from_bytes(data[position : position + 3], "little")


def _webp_orientation(data: bytes) -> int:
    position = 12
    for _ in range(_MAX_PARTS):
        if position + 8 > len(data):
            break
        kind, length = struct.unpack_from("<4sI", data, position)
        if kind == b"EXIF":
            block = data[position + 8 : position + 8 + length]
            return exif_orientation(block[6:] if block.startswith(b"Exif\0\0") else block)
        position += 8 + length + length % 2
    return 1


# BMP: BITMAPFILEHEADER and the DIB headers that follow it


def _bmp(data: bytes) -> ImageHeader:
    pixels_at, header_bytes = struct.unpack_from("<II", data, 10)
    if header_bytes == 12:  # OS/2
        width, height, _, bits = struct.unpack_from("<HHHH", data, 18)
        compression = 0
    else:
        width, height, _, bits, compression = struct.unpack_from("<iiHHI", data, 18)
    height = abs(height)  # negative: rows from top to bottom
    end = pixels_at + (width * bits + 31) // 32 * 4 * height
    if compression in (0, 3) and len(data) < end:  # no compression; colour masks
        raise ImageError(_TRUNCATED.format(f"{end - len(data)} bytes at its end"))
    mode = "P" if bits <= 8 else "RGBA" if bits == 32 else "RGB"
    return checked_header((width, height), ("BMP", mode), 1, {ALPHA_IGNORED: bits == 32})


# TIFF: TIFF 6.0 specification

_STRIPS, _TILES = (273, 279), (324, 325)  # tags of offsets and byte counts
_TIFF_MODES = {0: "L", 1: "L", 2: "RGB", 3: "P", 5: "CMYK"}
_CHANNELS = {"L": 1, "P": 1, "RGB": 3, "CMYK": 4}


def _tiff(data: bytes) -> ImageHeader:
    page = read_directory(data)
    bits, channels, orientation = page.get(258, 1), page.get(277, 1), page.get(ORIENTATION, 1)
    if page.get(339, 1) != 1 or bits > 16:
        raise ImageError(
            f"its {bits}-bit signed or floating-point samples have no known brightness; convert it "
            "to 8-bit or 16-bit unsigned"
        )
    if orientation != 1 and _TILES[0] in page.fields:
        raise ImageError(
            f"a tiled TIFF with orientation {orientation} is not read; save it upright"
        )
    for tags in (_STRIPS, _TILES):
        _check_inside(page, tags, len(data))
    mode = _TIFF_MODES.get(page.get(262, 1), "RGB")
    alpha = channels > _CHANNELS[mode]
    multiplied = alpha and mode == "RGB" and page.get(338, 0) == 2
    notes = {
        ALPHA_IGNORED: alpha and not multiplied,
        ALPHA_MULTIPLIED: multiplied,
        SIXTEEN_BIT: bits == 16,
        FIRST_PAGE: page.more_pages,
        CMYK_CONVERTED: mode == "CMYK",
    }
    kind = ("TIFF", _mode(mode + "A" * alpha, bits))
    orientation = orientation if 1 <= orientation <= 8 else 1
    return checked_header((page.get(256, 0), page.get(257, 0)), kind, orientation, notes)


def _check_inside(page: TiffDirectory, tags: tuple[int, int], size_bytes: int) -> None:
    """Refuse a file that ends before its strips or tiles do."""
    offsets, counts = (page.fields.get(tag, np.zeros(0, np.uint64)) for tag in tags)
    common = min(offsets.size, counts.size)
    ends = offsets[:common] + counts[:common]
    if any((values > size_bytes).any() for values in (offsets, counts, ends)):
        raise ImageError(_TRUNCATED.format("part of its pixels"))


_READERS = (
    (re.compile(rb"\xff\xd8\xff"), _jpeg),
    (re.compile(rb"\x89PNG\r\n\x1a\n"), _png),
    (re.compile(rb"RIFF....WEBPVP8[ LX]", re.DOTALL), _webp),
    (re.compile(rb"BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0", re.DOTALL), _bmp),
    (re.compile(rb"II[*+]\0|MM\0[*+]"), _tiff),
)
# Recognised only to be named. Upstream cannot read a GIF either: OpenCV's build has no decoder.
_REFUSED = (
    (re.compile(rb"GIF8"), "GIF"),
    (re.compile(rb"....ftyp(hei|hev|mif|msf)", re.DOTALL), "HEIC"),
    (re.compile(rb"....ftypavi", re.DOTALL), "AVIF"),
    (re.compile(rb"\0\0\0\x0cjP|\xff\x4f\xff\x51"), "JPEG 2000"),
    (re.compile(rb"\xff\x0a|\0\0\0\x0cJXL"), "JPEG XL"),
    (re.compile(rb"%PDF"), "PDF"),
)
