"""Values of a panorama in any direction: closed behind, right at the poles, without flicker."""

from __future__ import annotations

import numpy as np
import pytest

from depth.panoramas.geometry import View, directions, rays
from depth.panoramas.layouts import CUBE
from depth.panoramas.sampling import Sphere, seen_in, width_for
from tests.support.room import picture, seen


def toward(longitude_deg: float, latitude_deg: float) -> np.ndarray:
    across, up = np.radians([longitude_deg, latitude_deg])
    return np.array(
        [[[np.cos(up) * np.sin(across), -np.sin(up), np.cos(up) * np.cos(across)]]], np.float32
    )


def test_pixels_come_back_where_they_are() -> None:
    values = np.random.default_rng(0).random((20, 40), np.float32)
    assert np.allclose(Sphere(values).along(directions((20, 40))), values, atol=0.05)
    assert np.abs(Sphere(values).along(directions((20, 40))) - values).mean() < 0.01


def test_the_panorama_is_closed_behind() -> None:
    values = np.zeros((10, 20), np.float32)
    values[:, 0], values[:, -1] = 1, 3
    assert Sphere(values).along(toward(180, 0)) == pytest.approx(2, abs=0.1)
    assert Sphere(values).along(toward(-179.99, 0)) == pytest.approx(2, abs=0.1)


def test_across_a_pole_lies_the_other_side() -> None:
    values = np.zeros((10, 20), np.float32)
    values[0, 9], values[0, 19], values[-1, 4], values[-1, 14] = 1, 3, 5, 7
    just = 90 - 18 * 0.1
    # Between a pixel of the first row and the pixel of the same row on the other side.
    for sign, column, here, there in ((1, 9, 1, 3), (-1, 4, 5, 7)):
        longitude = ((column + 0.5) / 20 - 0.5) * 360
        found = float(Sphere(values).along(toward(longitude, sign * just))[0, 0])
        assert here < found < there


@pytest.mark.parametrize("view", CUBE, ids=[view.name for view in CUBE])
def test_a_view_of_a_panorama_is_what_a_camera_sees(view: View) -> None:
    (cut,) = seen_in(picture((256, 512)), (view,), 64)
    true = seen(rays(view, 256)).colour.reshape(64, 4, 64, 4, 3).mean((1, 3))
    assert np.abs(cut - true).mean() < 6
    assert np.median(np.abs(cut - true)) < 2
    turned = np.abs(cut[::-1] - true).mean(), np.abs(cut[:, ::-1] - true).mean()
    assert min(turned) > 1.5 * np.abs(cut - true).mean()


def test_a_fine_panorama_is_averaged_first() -> None:
    stripes = np.zeros((600, 1200, 3), np.uint8)
    stripes[:, ::2] = 255
    (cut,) = seen_in(stripes, (CUBE[0],), 32)
    assert np.abs(cut.astype(int) - 127).max() < 30
    raw = Sphere(stripes).along(rays(CUBE[0], 32)).astype(int)
    assert np.abs(raw - 127).max() > 100


def test_a_panorama_as_fine_as_its_views() -> None:
    # 90 degrees in 100 px are, in the middle, 50 px a radian.
    assert width_for(CUBE[0], 100) == 314
