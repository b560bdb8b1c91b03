"""Reads the header of each accepted kind of image file without decoding a pixel.

Each reader also checks what tells a complete file from a truncated one, so that most broken files
are refused before a decoder sees them. The readers are our own because decoding libraries print
or warn about what they find, or allocate memory before they check.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

import numpy as np

from depth.errors import ImageError
from depth.images.header import (
    ALPHA_IGNORED,
    ALPHA_MULTIPLIED,
    CMYK_CONVERTED,
    FIRST_FRAME,
    FIRST_PAGE,
    MAX_PARTS,
    NO_END_MARKER,
    SIXTEEN_BIT,
    TRUNCATED,
    ImageHeader,
    checked_header,
    named_mode,
)
from depth.images.png import read_png
from depth.images.pnm import read_pnm
from depth.images.tiff import (
    ORIENTATION,
    TiffDirectory,
    exif_orientation,
    read_directory,
)


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
                raise ImageError(TRUNCATED.format("part of its header")) from error
    for signature, name in _REFUSED:
        if signature.match(data):
            raise ImageError(f"{name} files are not read; convert it to PNG or JPEG")
    raise ImageError("not an image, or of an unknown format")


# JPEG: ITU-T T.81, annex B

_JPEG_MARKER = re.compile(rb"\xff([^\x00\xff])", re.DOTALL)
_SOI, _EOI, _SOS, _APP1 = 0xD8, 0xD9, 0xDA, 0xE1
_EXIF = b"Exif\0\0"  # before a block in JPEG, and in some WebP files
_STANDALONE = {0x01, *range(0xD0, 0xD8)}
_FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_SEQUENTIAL = {0xC0, 0xC1}
_JPEG_BETWEEN_SCANS = re.compile(rb"\xff([^\x00\x01\xd0-\xd8\xff])", re.DOTALL)
_MAX_SCANS = 100  # a progressive picture has about 10; each costs time, and few bytes
_JPEG_MODES = {1: "L", 3: "RGB", 4: "CMYK"}


def _jpeg(data: bytes) -> ImageHeader:
    frame = exif = b""
    frame_marker, orientation = 0, None
    for marker, start, end in _jpeg_segments(data):
        if marker in _FRAMES and not frame:
            frame, frame_marker = data[start:end], marker
        elif marker == _APP1:
            block = data[start + 6 : end]
            if orientation is None:  # OpenCV looks into the first one only
                orientation = exif_orientation(block)
            if not exif and data[start : start + 6] == _EXIF:
                exif = block
    if not frame:
        raise ImageError("damaged: no frame header before the first scan")
    endless = data.rfind(b"\xff\xd9", end) < 0
    # Of one scan, the decoder shows whether it is whole. Later scans could be missing altogether.
    if endless and not (frame_marker in _SEQUENTIAL and data[start] == frame[5]):
        raise ImageError(TRUNCATED.format("the end of the picture"))
    if _scans(data, end) > _MAX_SCANS:
        raise ImageError(f"a JPEG of more than {_MAX_SCANS} scans is not read; save it again")
    bits, height, width, components = struct.unpack_from(">BHHB", frame)
    if bits != 8 or components not in _JPEG_MODES:
        raise ImageError(
            f"a JPEG of {components} components of {bits} bits is not read; convert it to PNG"
        )
    mode = _JPEG_MODES[components]
    notes = {CMYK_CONVERTED: mode == "CMYK", NO_END_MARKER: endless}
    return checked_header((width, height), ("JPEG", mode), orientation or 1, notes, exif)


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Marker, start and end of each segment's content, up to the first scan header."""
    position = 2
    for _ in range(MAX_PARTS):
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
    raise ImageError(TRUNCATED.format("the picture"))


def without_strays(data: bytes) -> bytes:
    """A JPEG file without bytes between the segments before its first scan, which mean nothing."""
    parts, end = [data[:2]], 2
    for marker, start, end in _jpeg_segments(data):
        parts += [bytes((0xFF, marker)), data[start - 2 : end]]
    return b"".join([*parts, data[end:]])


def _scans(data: bytes, position: int) -> int:
    """How many scans there are, each a pass over all pixels; `position` is in the first one."""
    scans = 1
    while scans <= _MAX_SCANS:
        found = _JPEG_BETWEEN_SCANS.search(data, position)
        if found is None or found.group(1)[0] == _EOI or found.end() + 2 > len(data):
            break
        scans += found.group(1)[0] == _SOS
        position = found.end() + struct.unpack_from(">H", data, found.end())[0]
    return scans


# WebP: RFC 9649


def _webp(data: bytes) -> ImageHeader:
    (length,) = struct.unpack_from("<I", data, 4)
    if len(data) < length + 8:
        raise ImageError(TRUNCATED.format(f"{length + 8 - len(data)} bytes at its end"))
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
    exif = _webp_exif(data) if kind == b"VP8X" else b""
    turned = exif_orientation(exif)
    notes = {
        ALPHA_IGNORED: alpha,
        FIRST_FRAME: animated,
        f"EXIF orientation {turned} not applied: OpenCV ignores it in WebP files": turned != 1,
    }
    return checked_header((width, height), ("WebP", "RGBA" if alpha else "RGB"), 1, notes, exif)


def _u24(data: bytes, position: int) -> int:
    return int.from_bytes(data[position : position + 3], "little")


def _webp_exif(data: bytes) -> bytes:
    position = 12
    for _ in range(MAX_PARTS):
        if position + 8 > len(data):
            break
        kind, length = struct.unpack_from("<4sI", data, position)
        if kind == b"EXIF":
            block = data[position + 8 : position + 8 + length]
            return block[len(_EXIF) :] if block.startswith(_EXIF) else block
        position += 8 + length + length % 2
    return b""


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
        raise ImageError(TRUNCATED.format(f"{end - len(data)} bytes at its end"))
    mode = "P" if bits <= 8 else "RGBA" if bits == 32 else "RGB"
    return checked_header((width, height), ("BMP", mode), 1, {ALPHA_IGNORED: bits == 32})


# TIFF: TIFF 6.0 specification

_STRIPS, _TILES = (273, 279), (324, 325)  # tags of offsets and byte counts
_SHEARED = ((16, 1), (8, 2), (16, 2))  # bits and channels
_MARGIN_PX = 1 << 22  # tiles may be larger than a small picture
_MAX_CHANNELS = 4  # that OpenCV takes
_MAX_STRIPS = 1 << 20  # or tiles; real files have thousands
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
    if channels > _MAX_CHANNELS:
        raise ImageError(
            f"a TIFF of {channels} channels is not read, only 1 to {_MAX_CHANNELS}; save its "
            "colours without the others"
        )
    if orientation != 1 and _TILES[0] in page.fields:
        raise ImageError(
            f"a tiled TIFF with orientation {orientation} is not read; save it upright"
        )
    size = page.get(256, 0), page.get(257, 0)
    if _TILES[0] in page.fields:
        _check_tiles(page, size, (bits, channels))
    for tags in (_STRIPS, _TILES):
        _check_inside(page, tags, len(data))
    mode = _TIFF_MODES.get(page.get(262, 1), "RGB")
    if mode == "CMYK" and bits == 16:
        raise ImageError("a TIFF of 16-bit CMYK is not read; save it as 16-bit RGB")
    alpha = channels > _CHANNELS[mode]
    multiplied = alpha and mode == "RGB" and page.get(338, 0) == 2
    notes = {
        ALPHA_IGNORED: alpha and not multiplied,
        ALPHA_MULTIPLIED: multiplied,
        SIXTEEN_BIT: bits == 16,
        FIRST_PAGE: page.more_pages,
        CMYK_CONVERTED: mode == "CMYK",
    }
    kind = ("TIFF", named_mode(mode + "A" * alpha, bits))
    orientation = orientation if 1 <= orientation <= 8 else 1
    return checked_header(size, kind, orientation, notes, data)  # its EXIF is a part of it


def _check_tiles(page: TiffDirectory, size: tuple[int, int], sample: tuple[int, int]) -> None:
    width, height = page.get(322, 0), page.get(323, 0)
    if width * height > size[0] * size[1] + _MARGIN_PX:  # OpenCV makes room for a whole one
        raise ImageError(
            f"damaged: a picture of {size[0]}x{size[1]} px in tiles of {width}x{height}"
        )
    if sample in _SHEARED and size[0] % (width or 1):
        raise ImageError(
            "a TIFF of 16-bit gray, or gray with alpha, in tiles that do not divide its width is "
            "not read, as OpenCV shears the last ones; save it in strips"
        )


def _check_inside(page: TiffDirectory, tags: tuple[int, int], size_bytes: int) -> None:
    """Refuse a file that ends before its strips or tiles do."""
    offsets, counts = (page.fields.get(tag, np.zeros(0, np.uint64)) for tag in tags)
    if max(offsets.size, counts.size) > _MAX_STRIPS:
        raise ImageError(f"its pixels are in more than {_MAX_STRIPS} parts; save it again")
    common = min(offsets.size, counts.size)
    ends = offsets[:common].astype(np.uint64) + counts[:common].astype(np.uint64)
    if any((values > size_bytes).any() for values in (offsets, counts, ends)):
        raise ImageError(TRUNCATED.format("part of its pixels"))


_READERS = (
    (re.compile(rb"\xff\xd8\xff"), _jpeg),
    (re.compile(rb"\x89PNG\r\n\x1a\n"), read_png),
    (re.compile(rb"RIFF....WEBPVP8[ LX]", re.DOTALL), _webp),
    (re.compile(rb"BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0", re.DOTALL), _bmp),
    (re.compile(rb"II[*+]\0|MM\0[*+]"), _tiff),
    (re.compile(rb"P[56]\s"), read_pnm),
)
# Recognised only to be named. Upstream cannot read a GIF either: OpenCV's build has no decoder.
_REFUSED = (
    (re.compile(rb"GIF8"), "GIF"),
    (re.compile(rb"....ftyp(hei|hev|mif|msf)", re.DOTALL), "HEIC"),
    (re.compile(rb"....ftypavi", re.DOTALL), "AVIF"),
    (re.compile(rb"\0\0\0\x0cjP|\xff\x4f\xff\x51"), "JPEG 2000"),
    (re.compile(rb"\xff\x0a|\0\0\0\x0cJXL"), "JPEG XL"),
    (re.compile(rb"%PDF"), "PDF"),
    (re.compile(rb"P[1-47Ff]\s"), "PBM, PAM, PFM and text PNM"),
)
