"""TIFF files that other readers take and OpenCV does not, from memory or at all."""

from __future__ import annotations

import io
import struct
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import tifffile

from depth.errors import ImageError
from depth.images import read
from depth.images.read import decode_image
from tests.support.image_samples import GRAY, RGB, opencv, read_header

PIXELS = np.asarray(RGB)


def tiff(pixels: npt.NDArray[Any], photometric: str = "rgb", **options: Any) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, np.ascontiguousarray(pixels), photometric=photometric, **options)
    return file.getvalue()


@pytest.mark.parametrize("side_px", [16, 48, 80, 32])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_tiles_of_any_size_are_read(side_px: int, compression: str) -> None:
    options = {"tile": (side_px, side_px), "compression": compression}
    expected = PIXELS[..., ::-1]
    for pixels in (PIXELS, PIXELS.astype(np.uint16) * 257):
        found = decode_image(tiff(pixels, **options), "x")
        np.testing.assert_array_equal(found.pixels, expected)
    gray = np.asarray(GRAY)
    found = decode_image(tiff(gray, "minisblack", **options), "x")
    np.testing.assert_array_equal(found.pixels, np.stack([gray] * 3, -1))


def test_a_full_disk_refuses_tiles_that_need_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(**_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("depth.images.read.NamedTemporaryFile", full)
    with pytest.raises(ImageError, match=r"x: cannot be decoded \(No space left on device\)"):
        decode_image(tiff(PIXELS, tile=(16, 16)), "x")


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("left", range(9))
def test_a_file_may_end_before_the_offset_of_a_next_page(big: bool, left: int) -> None:
    """Its directory is moved to the end, of which `left` bytes stay."""
    data = tiff(PIXELS, bigtiff=big)
    first, offset, size, entry = (8, "<Q", 8, 20) if big else (4, "<I", 2, 12)
    (start,) = struct.unpack_from(offset, data, first)
    count = int.from_bytes(data[start : start + size], "little")
    directory = data[start : start + size + count * entry] + bytes(left)
    moved = data[:first] + struct.pack(offset, len(data)) + data[first + struct.calcsize(offset) :]
    image = decode_image(moved + directory, "x")
    np.testing.assert_array_equal(image.pixels, PIXELS[..., ::-1])
    assert image.notes == ()
    with pytest.raises(ImageError, match="part of its header"):
        read_header(moved + directory[: size + count * entry - 1])


@pytest.mark.parametrize("channels", range(1, 8))
def test_more_than_four_channels_are_refused(
    channels: int, capfd: pytest.CaptureFixture[str]
) -> None:
    pixels = np.stack([np.asarray(GRAY)] * channels, -1)
    for photometric in ("minisblack", *["rgb"] * (channels > 2), *["separated"] * (channels > 3)):
        many = {"planarconfig": "contig"} if channels > 1 else {}
        data = tiff(pixels if channels > 1 else pixels[..., 0], photometric, **many)
        if channels > 4:
            with pytest.raises(ImageError, match=f"a TIFF of {channels} channels is not read"):
                read_header(data)
        else:
            assert decode_image(data, "x").pixels.shape == PIXELS.shape
    assert capfd.readouterr() == ("", "")


def test_opencv_prints_nothing(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tiff(PIXELS, tile=(16, 16))
    cv2.setLogLevel(3)
    opencv(data)
    assert "OpenCV TIFF" in capfd.readouterr().err, "the sample shows nothing"
    monkeypatch.setattr(read, "has_plain_tiles", lambda _: False)
    read._quiet.cache_clear()
    with pytest.raises(ImageError, match="cannot be decoded"):
        decode_image(data, "x")
    assert capfd.readouterr() == ("", "")


def test_cmyk_of_16_bits_is_refused() -> None:
    data = tiff(np.zeros((9, 9, 4), np.uint16), "separated")
    with pytest.raises(ImageError, match="16-bit CMYK is not read"):
        read_header(data)
