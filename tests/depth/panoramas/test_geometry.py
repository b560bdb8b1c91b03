"""The sphere of a panorama and its views: which way is which, and what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest

from depth.errors import InputError
from depth.panoramas.geometry import (
    View,
    check_whole_sphere,
    directions,
    even_directions,
    places,
    rays,
    slant,
)
from depth.panoramas.layouts import CUBE, LAYOUTS, layout_named

AHEAD, RIGHT, UP = (0, 0, 1), (1, 0, 0), (0, -1, 0)


def test_pixels_of_a_panorama_look_where_its_axes_say() -> None:
    found = directions((180, 360))
    near = {"atol": math.radians(0.75)}
    assert np.allclose(found[90, 180], AHEAD, **near)
    assert np.allclose(found[90, 270], RIGHT, **near)
    assert np.allclose(found[90, 0], (0, 0, -1), **near)
    assert np.allclose(found[0, 7], UP, **near)
    assert np.allclose(np.linalg.norm(found, axis=2), 1, atol=1e-6)


@pytest.mark.parametrize(
    ("yaw", "pitch", "axis"),
    [(0, 0, AHEAD), (90, 0, RIGHT), (-90, 0, (-1, 0, 0)), (0, 90, UP), (180, -90, (0, 1, 0))],
)
def test_a_view_looks_along_its_yaw_and_pitch(
    yaw: float, pitch: float, axis: tuple[int, int, int]
) -> None:
    view = View("one", yaw, pitch, 90)
    assert np.allclose(view.rotation @ AHEAD, axis, atol=1e-12)
    assert np.allclose(view.rotation @ view.rotation.T, np.eye(3))
    assert math.isclose(np.linalg.det(view.rotation), 1)


def test_up_in_a_view_stays_up_in_the_world() -> None:
    view = View("raised", 30, 40, 90)
    assert (view.rotation @ UP)[1] < -0.7
    assert abs((view.rotation @ RIGHT)[1]) < 1e-12


def test_rays_and_intrinsics_are_those_of_a_pinhole_camera() -> None:
    view, side = View("one", 25, -30, 100), 6
    local = rays(view, side) @ view.rotation
    assert np.allclose(local[..., 2], 1, atol=1e-6)
    pixels = local @ view.intrinsics(side).T
    columns, rows = np.meshgrid(range(side), range(side))
    assert np.allclose(pixels[..., 0], columns, atol=1e-5)
    assert np.allclose(pixels[..., 1], rows, atol=1e-5)
    assert np.allclose(slant(view, side), np.linalg.norm(local, axis=2))
    assert math.isclose(view.focal_px(side), 3 / math.tan(math.radians(50)))


def test_places_undo_rays_and_leave_out_what_lies_behind() -> None:
    view = View("one", 140, 20, 80)
    found = places(view, rays(view, 9))
    centres = (np.arange(9) + 0.5) / 9 * 2 - 1
    assert found.inside.all()
    assert np.allclose(found.x, centres, atol=1e-5)
    assert np.allclose(found.y, centres[:, np.newaxis], atol=1e-5)
    assert not places(view, -rays(view, 9)).inside.any()
    assert places(view, rays(view, 9)).weight[4, 4] > 0.99


def test_even_directions_cover_the_sphere_evenly() -> None:
    found = even_directions(3000)
    assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    assert np.abs(found.mean(axis=0)).max() < 2e-3
    assert np.allclose((found**2).mean(axis=0), 1 / 3, atol=1e-2)


@pytest.mark.parametrize("size", [(100, 200), (1000, 1999), (1, 2)])
def test_an_image_of_two_to_one_is_a_whole_sphere(size: tuple[int, int]) -> None:
    check_whole_sphere(*size)


@pytest.mark.parametrize("size", [(100, 197), (100, 203), (200, 100), (100, 100)])
def test_another_image_is_refused_with_what_to_do(size: tuple[int, int]) -> None:
    with pytest.raises(InputError, match=r"twice as wide as high. Pad .* or take inference.py"):
        check_whole_sphere(*size)


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_layout_sees_everything_and_overlaps(name: str) -> None:
    seen = np.sum(
        [places(view, even_directions(20_000)).inside for view in layout_named(name).views], axis=0
    )
    assert seen.min() >= 1
    assert (seen > 1).mean() > 0.25
    assert len({view.name for view in layout_named(name).views}) == len(layout_named(name).views)


def test_cube_faces_cover_the_sphere_once() -> None:
    seen = np.sum([places(face, even_directions(20_000)).inside for face in CUBE], axis=0)
    assert (seen == 1).mean() > 0.999


def test_what_is_no_layout_is_refused() -> None:
    with pytest.raises(InputError, match="choose from cube6, tangent10, rows18"):
        layout_named("cube7")
    with pytest.raises(
        InputError, match="leave gaps, or hardly overlap: take a wider angle, as 110"
    ):
        layout_named("cube6", 90)
    for angle in (20, 150, math.nan):
        with pytest.raises(InputError, match="expected 40 to 140"):
            layout_named("tangent10", angle)
