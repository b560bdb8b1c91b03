"""Regions joined, filled, grown, turned and written."""

from __future__ import annotations

import io
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from depth.errors import InputError
from depth.images.read import decode_image
from depth.masks.overlay import overlay
from depth.masks.region import Shaping, as_stored, dilated, share_of, with_holes_filled
from tests.support.hostile import encoded, picture


def drawn(*rows: str) -> Any:
    return np.array([[c == "#" for c in row] for row in rows])


def test_holes_are_filled_and_bays_are_not() -> None:
    region = drawn(
        ".........",
        ".####.##.",
        ".#..#.#..",
        ".#..#.##.",
        ".####....",
        ".........",
    )
    filled = drawn(
        ".........",
        ".####.##.",
        ".####.#..",
        ".####.##.",
        ".####....",
        ".........",
    )
    assert np.array_equal(with_holes_filled(region), filled)
    assert with_holes_filled(np.ones((3, 4), np.bool_)).all()
    assert not with_holes_filled(np.zeros((3, 4), np.bool_)).any()
    # Cut off by a diagonal: what is kept is joined over edges only.
    assert np.array_equal(with_holes_filled(drawn(".#.", "#.#", ".#.")), drawn(".#.", "###", ".#."))


def test_growing_reaches_every_pixel_within_the_radius() -> None:
    region = np.zeros((21, 31), np.bool_)
    region[10, 15] = True
    rows, columns = np.mgrid[:21, :31]
    for radius in (1, 2.5, 6):
        expected = (rows - 10) ** 2 + (columns - 15) ** 2 <= radius**2
        assert np.array_equal(dilated(region, radius), expected), radius
    assert np.array_equal(dilated(region, 0.9), region)
    assert not dilated(np.zeros((5, 5), np.bool_), 3).any()


def test_shaping_fills_before_it_grows_and_counts_in_percent_of_the_longer_side() -> None:
    region = np.zeros((50, 100), np.bool_)
    region[10:31, 10] = region[10:31, 30] = region[10, 10:31] = region[30, 10:31] = True
    shaped = Shaping(dilate_percent=2, fill_holes=True).shaped(region)
    assert shaped[20, 20]
    assert shaped[20, 32]
    assert not shaped[20, 33]
    assert not Shaping(dilate_percent=2).shaped(region)[20, 20]


@pytest.mark.parametrize("percent", [-0.1, 2.1, float("nan")])
def test_a_percentage_outside_is_refused(percent: float) -> None:
    with pytest.raises(InputError, match="expected 0 to 2 percent"):
        Shaping(percent)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_mask_lies_as_the_file_stores_its_pixels(orientation: int) -> None:
    """What the file stores white is upright white: found upright, it lies where it was stored."""
    stored = np.zeros((30, 40, 3), np.uint8)
    stored[4:12, 3:20] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(Image.fromarray(stored), "PNG", exif=exif)
    source = decode_image(data, "a.png")
    assert source.header.orientation == orientation
    mask = Shaping(invert=True).encoded(source.pixels[..., 0] > 127, orientation)
    assert np.array_equal(np.array(Image.open(io.BytesIO(mask))), stored[..., 0])


def test_a_mask_is_eight_bits_of_one_channel() -> None:
    region = drawn("#.", ".#", "..")
    mask = Image.open(io.BytesIO(Shaping().encoded(region, 1)))
    assert (mask.mode, mask.size) == ("L", (2, 3))
    assert np.array_equal(np.array(mask), np.where(region, 0, 255))
    found = cv2.imdecode(np.frombuffer(Shaping().encoded(region, 6), np.uint8), -1)
    assert found is not None
    assert found.dtype == np.uint8
    assert found.shape == (2, 3)
    assert set(np.unique(found)) == {0, 255}
    assert share_of(region) == pytest.approx(2 / 6)
    assert np.array_equal(as_stored(region, 1), region)


def test_what_is_left_out_is_red_in_the_preview() -> None:
    pixels = np.full((960, 480, 3), 100, np.uint8)
    region = np.zeros((960, 480), np.bool_)
    region[:480] = True
    found = np.array(Image.open(io.BytesIO(overlay(pixels, region))).convert("RGB")).astype(int)
    assert found.shape == (480, 240, 3)
    red, plain = found[100, 100], found[400, 100]
    assert red[0] > 150
    assert red[1] < 90
    assert abs(plain - 100).max() < 4
    assert overlay(np.array(picture(20, 30)), np.ones((20, 30), np.bool_))[:2] == b"\xff\xd8"
