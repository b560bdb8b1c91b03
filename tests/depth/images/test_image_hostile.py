"""Small image files that would cost a decoder its process, its memory or minutes."""

from __future__ import annotations

import io
import re
import struct
import tracemalloc

import numpy as np
import pytest
import tifffile
from PIL import Image

from depth.errors import ImageError
from depth.images.png import picture_only
from depth.images.read import decode_image
from tests.support.hostile import encoded
from tests.support.image_samples import (
    GRAY,
    JPEG,
    PNG,
    RGB,
    RGBA,
    STORED,
    chunk,
    opencv,
    read_header,
)

ANIMATED = STORED["png animated"][0]
ANIMATION = (b"acTL", b"fcTL", b"fdAT")


def still_first(colour: Image.Image, *frames: Image.Image) -> bytes:
    """An animation whose own picture is no frame of it."""
    return encoded(colour, "PNG", save_all=True, append_images=list(frames), default_image=True)


def test_an_animated_png_is_decoded_without_its_animation() -> None:
    for data in (ANIMATED, still_first(RGBA, RGB, RGBA)):
        still = picture_only(data)
        assert not any(kind in still for kind in ANIMATION)
        np.testing.assert_array_equal(decode_image(data, "x").pixels, opencv(data))
        np.testing.assert_array_equal(opencv(still), opencv(data))
    assert picture_only(PNG) is PNG


def test_a_damaged_animation_does_not_end_the_process() -> None:
    """OpenCV 4.11 dies of some of these."""
    picture = decode_image(ANIMATED, "x").pixels
    generator = np.random.default_rng(1)
    places = [match.end() for match in re.finditer(rb"fcTL|acTL|fdAT", ANIMATED)]
    for _ in range(200):
        damaged = bytearray(ANIMATED)
        damaged[generator.choice(places) + generator.integers(12)] ^= 1 << generator.integers(8)
        np.testing.assert_array_equal(decode_image(bytes(damaged), "x").pixels, picture)


def test_an_animation_that_lies_about_its_picture_is_only_refused() -> None:
    """All checksums are right; the pixels have a filter that does not exist."""
    frame = struct.pack(">IIIIIHHBB", 0, 97, 71, 0, 0, 1, 10, 0, 0)
    rows = chunk(b"IDAT", bytes.fromhex("789c4b1ae5000000"))
    data = PNG[:33] + chunk(b"acTL", struct.pack(">II", 2, 0)) + chunk(b"fcTL", frame) + rows
    with pytest.raises(ImageError, match="cannot be decoded"):
        decode_image(data + chunk(b"IEND", b""), "x")


def tiff_of(fields: int, length: int, kind: int = 1) -> bytes:
    """A TIFF of 10x10 px, with fields that all are `length` values at the start of the file."""
    entries = [struct.pack("<HHII", tag, 3, 1, 10) for tag in (256, 257)]
    entries += [struct.pack("<HHII", 30000 + i, kind, length, 0) for i in range(fields)]
    directory = struct.pack("<H", len(entries)) + b"".join(entries) + bytes(4)
    return (b"II*\0" + struct.pack("<I", 8) + directory).ljust(length + 100, b"\0")


@pytest.mark.parametrize("kind", [1, 2, 7])  # whole numbers, text, anything
def test_tiff_fields_that_share_their_bytes_are_refused(kind: int) -> None:
    data = tiff_of(400, 100_000, kind)
    tracemalloc.start()
    with pytest.raises(ImageError, match="fields of its TIFF directory are longer than the file"):
        read_header(data)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 1_000_000
    assert read_header(tiff_of(1, 50_000, kind)).width_px == 10


def tiff_with(width_px: int, offsets: int, tile_px: int) -> bytes:
    tags = [(256, 4, width_px), (257, 4, 10), (322, 4, tile_px), (323, 4, tile_px)]
    entries = [struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags]
    entries.append(struct.pack("<HHII", 324, 1, offsets, 100))
    directory = struct.pack("<H", len(entries)) + b"".join(entries) + bytes(4)
    return (b"II*\0" + struct.pack("<I", 8) + directory).ljust(offsets + 200, b"\0")


def test_a_tiff_in_too_many_or_too_large_parts_is_refused() -> None:
    assert read_header(tiff_with(97, 9, 2048)).width_px == 97
    with pytest.raises(ImageError, match="97x10 px in tiles of 30000x30000"):
        read_header(tiff_with(97, 9, 30_000))
    with pytest.raises(ImageError, match="more than 1048576 parts"):
        read_header(tiff_with(97, (1 << 20) + 1, 16))


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_tiles_of_gray_are_read_rightly_or_not_at_all(channels: int, dtype: type) -> None:
    gray = np.asarray(GRAY)
    samples = gray.astype(dtype) * (257 if dtype is np.uint16 else 1)
    pixels = samples if channels == 1 else np.stack([samples, np.full_like(samples, 255)], -1)
    for width_px in (97, 64):
        file = io.BytesIO()
        rest = {"extrasamples": ["unassalpha"]} if channels == 2 else {}
        tifffile.imwrite(
            file, pixels[:, :width_px], photometric="minisblack", tile=(32, 32), **rest
        )
        if width_px % 32 and (channels, dtype) != (1, np.uint8):
            with pytest.raises(ImageError, match="tiles that do not divide its width"):
                read_header(file.getvalue())
        else:
            found = decode_image(file.getvalue(), "x").pixels
            np.testing.assert_array_equal(found[..., 0], gray[:, :width_px])


def many_scans(count: int) -> bytes:
    """A progressive JPEG whose last scan comes `count` times."""
    data = encoded(GRAY, "JPEG", progressive=True)
    start, end = data.rindex(b"\xff\xda"), data.rindex(b"\xff\xd9")
    return data[:start] + data[start:end] * count + data[end:]


def test_a_jpeg_of_many_scans_is_refused() -> None:
    with pytest.raises(ImageError, match="more than 100 scans"):
        read_header(many_scans(101))
    assert read_header(many_scans(50)).width_px == 97


def test_what_only_looks_like_a_scan_does_not_count() -> None:
    looks = b"\xff\xda\0\x08" * 200
    inside = JPEG[:2] + b"\xff\xee" + struct.pack(">H", len(looks) + 2) + looks + JPEG[2:]
    for data in (inside, JPEG + looks):  # a preview in a segment; a video after the picture
        np.testing.assert_array_equal(decode_image(data, "x").pixels, opencv(JPEG))
    restarts = encoded(RGB, "JPEG", restart_marker_blocks=1)
    np.testing.assert_array_equal(decode_image(restarts, "x").pixels, opencv(restarts))
