"""The small pictures: which end of the legend is near, their size, and odd values."""

from __future__ import annotations

import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from depth.errors import DepthFileError, InputError
from depth.family import FOCAL_NORMALISED, METRES, RELATIVE_DEPTH, RELATIVE_INVERSE
from depth.maps.files import (
    FORMATS,
    PREVIEW_SUFFIX,
    add_preview,
    not_whole,
    read_sidecar,
    write_result,
)
from depth.maps.preview import colour_preview
from depth.maps.result import Map
from depth.maps.thumbnail import SIDE_PX, legend, panel_px, thumbnail
from tests.support.depth_samples import KINDS, SOURCE, depth_of, ramp, result, several

BELOW_PX = 8 + 10 + 20  # a gap, the bar, the text


def drawn(data: bytes) -> np.ndarray:
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert pixels is not None
    return pixels.astype(int)


@pytest.mark.parametrize("kind", KINDS)
def test_the_left_end_of_the_bar_has_the_colour_of_what_is_nearest(kind: str) -> None:
    depth = depth_of(ramp(60, 90), kind)
    picture = drawn(thumbnail(depth))
    colours = colour_preview(depth).astype(int)
    nearest = np.unravel_index(depth.values.argmax(), (60, 90))
    if kind != RELATIVE_INVERSE:
        nearest = (0, 0)
        assert depth.values[nearest] == depth.values.min()
    bar = picture[-BELOW_PX + 8 + 5]
    assert np.abs(bar[4] - colours[nearest]).max() < 40
    assert np.abs(bar[-5] - colours[::-1, ::-1][nearest]).max() < 40
    assert bar[4, 2] > bar[4, 0], "red"
    assert bar[-5, 0] > bar[-5, 2], "blue"


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (RELATIVE_INVERSE, ("near", "far")),
        (RELATIVE_DEPTH, ("near", "far")),
        (FOCAL_NORMALISED, ("near", "far")),
        (METRES, ("near: 0.25 m", "far: 9.5 m")),
    ],
)
def test_only_metric_depth_has_metres_in_its_legend(kind: str, expected: tuple[str, str]) -> None:
    assert legend(depth_of(ramp(), kind)) == expected


@pytest.mark.parametrize("size", [(3000, 4000), (20, 30), (1, 1), (4000, 60), (60, 4000)])
def test_a_picture_is_small_whatever_the_image(size: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 255, (*size, 3), np.uint8)
    data = thumbnail(depth_of(ramp(*size)), image)
    height_px, width_px = panel_px(*size)
    assert max(height_px, width_px) == SIDE_PX
    wide_px = max(width_px, 220)
    assert drawn(data).shape == (height_px + BELOW_PX, 2 * wide_px + 8, 3)
    assert len(data) < 250_000


def test_the_image_stands_at_the_left_of_its_depth() -> None:
    image = np.full((300, 400, 3), (200, 30, 90), np.uint8)
    depth = depth_of(ramp(75, 100))  # as with --output-size model
    picture = drawn(thumbnail(depth, image))
    assert np.abs(picture[:350, :470] - image[0, 0]).max() < 4
    colours = cv2.resize(colour_preview(depth), (480, 360)).astype(int)
    assert np.abs(picture[5:355, 495:960] - colours[5:355, 7:472]).mean() < 6


@pytest.mark.parametrize("value", [0.0, 3.5, 3e38, -3e38])
def test_a_constant_image_is_one_colour(value: float) -> None:
    picture = drawn(thumbnail(depth_of(np.full((900, 1200), value, np.float32))))
    assert np.ptp(picture[:350], axis=(0, 1)).max() < 4


def test_values_that_are_not_finite_are_refused() -> None:
    values = ramp()
    values[2, 2] = np.nan
    with pytest.raises(InputError, match="expected finite numbers"):
        thumbnail(Map(values, RELATIVE_INVERSE))


def test_a_preview_is_added_and_nothing_else_changes(tmp_path: Path) -> None:
    odd = os.fsdecode(b"caf\xe9.jpg")
    path = write_result(several(), tmp_path / odd, FORMATS, {"path": odd})[-1]
    before = {each.name: each.read_bytes() for each in tmp_path.iterdir()}
    found = add_preview(path, np.zeros((5, 7, 3), np.uint8))
    assert found == read_sidecar(path)
    assert found.preview is not None
    assert not_whole(found, tmp_path, [odd + PREVIEW_SUFFIX]) == ""
    new, old = json.loads(path.read_bytes()), json.loads(before.pop(path.name))
    assert {**new, "preview": None} == old
    assert list(new) == list(old)
    assert {name: (tmp_path / name).read_bytes() for name in before} == before
    once = write_result(several(), tmp_path / "once" / odd, FORMATS, {"path": odd}, True)[-1]
    assert read_sidecar(once).files.keys() == found.files.keys()


def test_no_preview_is_drawn_of_a_damaged_depth_file(tmp_path: Path) -> None:
    depth, path = write_result(result(ramp()), tmp_path / "x", ["npy"], SOURCE)
    depth.write_bytes(depth.read_bytes()[:-1])
    before = path.read_bytes()
    with pytest.raises(DepthFileError, match="other bytes than its .json says"):
        add_preview(path)
    assert path.read_bytes() == before
    assert {each.name for each in tmp_path.iterdir()} == {"x.npy", "x.json"}
