"""Cuts between shots, of drawn frames and of photographs; figures of flicker; natural motion."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from depth.sequences.flicker import Flicker
from depth.sequences.motion import gray_of, motion
from depth.sequences.shots import Shots, reduced, small_size
from tests.support.pan import shot
from tests.support.places import PHOTOS

PHOTOGRAPHS = sorted(PHOTOS.glob("*.jpg"))


def small(rgb: np.ndarray) -> np.ndarray:
    return reduced(np.ascontiguousarray(rgb[:, :, ::-1]), small_size(*rgb.shape[:2]))


def test_a_pan_has_no_cut_and_a_change_of_scene_is_one() -> None:
    shots = Shots()
    found = [shots.motion(small(shot(at, scene).rgb)) for at, scene in WAY]
    assert [number for number, each in enumerate(found) if each is None] == [0, 5]


WAY = [(0.01 * number, int(number >= 5)) for number in range(10)]


def test_a_frame_of_another_shape_begins_a_shot() -> None:
    shots, picture = Shots(), small(shot(0).rgb)
    assert shots.motion(picture) is None
    assert shots.motion(picture) is not None
    assert shots.motion(picture[:-20].copy()) is None


@pytest.mark.skipif(not PHOTOGRAPHS, reason="the photographs in shared/data/photos are not here")
def test_photographs_are_different_shots_and_a_moved_photograph_is_not() -> None:
    shots = Shots()
    for path in PHOTOGRAPHS:
        whole = reduced(cv2.imread(str(path)), (240, 320))
        assert shots.motion(np.ascontiguousarray(whole[20:140, 20:180])) is None, path.name
        assert shots.motion(np.ascontiguousarray(whole[23:143, 26:186])) is not None, path.name


def test_motion_finds_where_points_were() -> None:
    wide = small(shot(0.2).rgb)
    before, now = gray_of(wide[:, 8:].copy()), gray_of(wide[:, :-8].copy())  # 8 px to the right
    found = motion(before, now)
    columns = np.mgrid[: now.shape[0], : now.shape[1]][1]
    assert not found.known[:, :4].any()  # what came into view
    assert found.known[:, 16:].mean() > 0.9
    off = (found.columns - columns + 8)[found.known]
    assert np.median(np.abs(off)) < 0.3
    carried = found.carried(before.astype(np.float32))
    assert np.median(np.abs(carried - now)[found.known]) < 3


def test_flicker_has_the_contrast_as_its_unit() -> None:
    picture = gray_of(small(shot(0).rgb))
    still = motion(picture, picture)
    ramp = np.tile(np.linspace(0, 1, picture.shape[1], dtype=np.float32), (len(picture), 1))
    for scale, shift in ((1, 0), (100, -7)):
        flicker = Flicker()
        assert flicker.figure is None
        assert flicker.add(scale * ramp + shift, None) is None
        assert flicker.add(scale * (ramp + 0.09) + shift, still) == pytest.approx(0.1, rel=0.02)
        assert flicker.add(scale * (ramp + 0.09) + shift, still) == pytest.approx(0, abs=1e-6)
        assert flicker.figure == pytest.approx(0.05, rel=0.02)
        assert flicker.pairs == 2
    assert Flicker().add(ramp, still) is None


@pytest.mark.parametrize("size", [(1, 1), (1, 2000), (2000, 3), (480, 640)])
def test_small_pictures_are_large_enough_for_optical_flow(size: tuple[int, int]) -> None:
    found = small_size(*size)
    assert min(found) >= 16
    assert max(found) == 160
    shots = Shots()
    picture = reduced(np.full((*size, 3), 90, np.uint8), found)
    assert shots.motion(picture) is None
    assert shots.motion(picture) is not None
