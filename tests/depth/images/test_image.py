"""The pixels of an input image are those of OpenCV's imread."""

from __future__ import annotations

import hashlib
import io
import struct
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from depth.images.read import decode_image, read_image
from tests.support.hostile import encoded, picture
from tests.support.image_samples import (
    JPEG,
    PNG,
    RGB,
    STORED,
    by_opencv,
    chunk,
    exif,
    opencv,
    read_header,
)
from tests.support.places import PHOTOS


def segment(content: bytes) -> bytes:
    return b"\xff\xe1" + struct.pack(">H", len(content) + 2) + content


def check_same_as_opencv(data: bytes) -> None:
    image, expected = decode_image(data, "x"), opencv(data)
    np.testing.assert_array_equal(image.pixels, expected)
    assert image.pixels.dtype == np.uint8
    assert image.pixels.flags.c_contiguous
    assert (image.header.height_px, image.header.width_px) == expected.shape[:2]
    assert read_header(data) == image.header


@pytest.mark.skipif(not PHOTOS.is_dir(), reason=f"no photos in {PHOTOS.name}/")
def test_photos_have_the_pixels_of_imread() -> None:
    for path in sorted(PHOTOS.glob("*.jpg")):
        image = read_image(path)
        np.testing.assert_array_equal(image.pixels, cv2.imread(str(path)))
        assert image.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
        assert image.notes == ()


@pytest.mark.parametrize("size", [(70, 98), (71, 97), (1, 1), (8, 200), (33, 17)])
def test_every_kind_of_jpeg_has_the_pixels_of_opencv(size: tuple[int, int]) -> None:
    for progressive in (False, True):
        check_same_as_opencv(encoded(picture(*size).convert("L"), "JPEG", progressive=progressive))
        check_same_as_opencv(encoded(picture(*size), "JPEG", keep_rgb=True))
        for sampling in (0, 1, 2):
            options = {"subsampling": sampling, "progressive": progressive}
            check_same_as_opencv(encoded(picture(*size), "JPEG", **options))
    for factor in (cv2.IMWRITE_JPEG_SAMPLING_FACTOR_411, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_440):
        pixels = np.asarray(picture(*size))
        check_same_as_opencv(by_opencv(".jpg", pixels, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, factor))


def test_a_jpeg_without_its_end_marker_is_read_with_a_note() -> None:
    image = decode_image(JPEG[:-2], "x")
    np.testing.assert_array_equal(image.pixels, opencv(JPEG))
    assert image.notes == ("its end marker is missing; the picture is whole",)


ICC_PART = b"\xff\xe2" + struct.pack(">H", 18) + b"ICC_PROFILE\0\x02\x01xx"  # part 2 of 1
ODD_SEGMENTS = {
    "ICC part": JPEG[:2] + ICC_PART + JPEG[2:],
    "JFIF version": JPEG[:11] + b"\x07" + JPEG[12:],
    "Adobe transform": JPEG[:2] + b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0\x07" + JPEG[2:],
}


@pytest.mark.parametrize("name", ODD_SEGMENTS)
def test_a_whole_jpeg_with_an_odd_segment_is_read(name: str) -> None:
    check_same_as_opencv(ODD_SEGMENTS[name])


@pytest.mark.parametrize(
    "chunks",
    [
        chunk(b"iCCP", b"x"),
        chunk(b"sRGB", b"\0") + chunk(b"gAMA", struct.pack(">I", 100_000)),
        chunk(b"gAMA", struct.pack(">I", 10_000)),
        chunk(b"cHRM", b"\0" * 32),
    ],
    ids=["iCCP", "sRGB and gAMA", "gAMA", "cHRM"],
)
def test_colour_spaces_of_a_png_change_nothing_and_print_nothing(
    chunks: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    data = PNG[:33] + chunks + PNG[33:]
    pixels = decode_image(data, "x").pixels
    assert capfd.readouterr() == ("", "")
    np.testing.assert_array_equal(pixels, opencv(data))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation(orientation: int, tmp_path: Path) -> None:
    stored = {"JPEG": JPEG, "PNG": PNG, "TIFF": PNG}
    for kind, upright in stored.items():
        extra: dict[str, Any] = {"exif": exif(orientation)}
        if kind == "TIFF":
            extra = {"tiffinfo": {274: orientation}}
        options = {"quality": 90} if kind == "JPEG" else {}
        data = encoded(RGB, kind, **options, **extra)
        check_same_as_opencv(data)
        assert read_header(data).orientation == orientation
        turned = decode_image(data, "x").pixels
        assert np.array_equal(turned, opencv(upright)) == (orientation == 1)
        if kind != "TIFF":  # OpenCV's imread fails on a TIFF that lies on its side
            (tmp_path / "x").write_bytes(data)
            np.testing.assert_array_equal(turned, cv2.imread(str(tmp_path / "x")))


@pytest.mark.parametrize(
    ("first", "orientation"),
    [
        (segment(b"http://ns.adobe.com/xap/1.0/\0<x/>"), 1),  # OpenCV reads the first APP1 only
        (segment(b"Exif\0\0II*\0\x08\0\0\0\x05"), 1),
        (segment(b"Exif\0\0" + exif(9).tobytes()[-26:]), 1),
        (b"\xff\xff\xff", 6),  # fill bytes
    ],
)
def test_unusual_exif_means_what_opencv_makes_of_it(first: bytes, orientation: int) -> None:
    turned = encoded(RGB, "JPEG", exif=exif(6))
    data = turned[:2] + first + turned[2:]
    check_same_as_opencv(data)
    assert decode_image(data, "x").header.orientation == orientation


def test_text_beyond_the_exif_block_hides_the_orientation() -> None:
    block = exif(6)
    block[0x0110] = "camera model"
    data = encoded(RGB, "JPEG", exif=block)
    at = data.index(b"\x01\x10\x00\x02")
    check_same_as_opencv(data)
    check_same_as_opencv(data[: at + 8] + b"\0\0\xff\xff" + data[at + 12 :])


@pytest.mark.parametrize("name", STORED)
def test_every_way_of_storing_pixels(name: str, tmp_path: Path) -> None:
    data, kind, mode, note = STORED[name]
    check_same_as_opencv(data)
    (tmp_path / "x").write_bytes(data)
    image = read_image(tmp_path / "x")
    np.testing.assert_array_equal(image.pixels, cv2.imread(str(tmp_path / "x")))
    assert (image.header.format, image.header.mode) == (kind, mode)
    assert (note or "") in " | ".join(image.notes)
    assert bool(note) == bool(image.notes)


def test_cmyk_has_the_colours_it_was_made_from() -> None:
    """Pillow stores CMYK inverted, as Adobe does; taking it as written would give a negative."""
    data = encoded(RGB.convert("CMYK"), "JPEG", quality=95)
    pixels = decode_image(data, "x").pixels[:, :, ::-1].astype(int)
    assert np.abs(pixels - np.asarray(RGB)).mean() < 3
    by_pillow = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    assert np.abs(pixels - by_pillow).max() <= 2


@pytest.mark.parametrize(
    "tail",
    [bytes(1000), b"\0\0\0\x18ftypmp42" + bytes(range(256)), JPEG],
    ids=["zeros", "video", "second picture"],
)
def test_bytes_after_a_complete_picture_are_ignored(tail: bytes) -> None:
    check_same_as_opencv(JPEG + tail)
    check_same_as_opencv(PNG + tail)


def test_stray_bytes_in_a_complete_jpeg_are_read_with_a_note(
    capfd: pytest.CaptureFixture[str],
) -> None:
    end_of_first = 4 + int.from_bytes(JPEG[4:6], "big")
    for at in (end_of_first, len(JPEG) - 2):
        data = JPEG[:at] + b"\1\2\3" + JPEG[at:]
        check_same_as_opencv(data)
        assert "extraneous bytes" in capfd.readouterr().err, "OpenCV prints it"
        assert "extraneous bytes" in decode_image(data, "x").notes[0]
        assert capfd.readouterr() == ("", "")


def test_a_damaged_chunk_that_is_not_needed_is_skipped() -> None:
    broken = chunk(b"eXIf", exif(6).tobytes())[:-1] + b"?"
    assert decode_image(PNG[:33] + broken + PNG[33:], "x").header.orientation == 1


def test_an_interlaced_png_is_read() -> None:
    """A picture of one pixel is the same bytes with and without interlacing, but for the header."""
    plain = encoded(picture(1, 1), "PNG")
    data = plain[:8] + chunk(b"IHDR", plain[16:28] + b"\1") + plain[33:]
    check_same_as_opencv(data)
    np.testing.assert_array_equal(decode_image(data, "x").pixels, opencv(plain))


def test_many_threads_read_the_same_pixels() -> None:
    samples = [data for data, *_ in STORED.values()]
    with ThreadPoolExecutor(8) as pool:
        for data, image in zip(samples * 4, pool.map(lambda d: decode_image(d, "x"), samples * 4)):
            assert np.array_equal(image.pixels, opencv(data))
