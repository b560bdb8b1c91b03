"""Distances, cameras and surfaces, by values that a pencil gives."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from depth.errors import InputError
from depth.exports.distance import FAR_OVER_NEAR, distances
from depth.exports.surface import EDGE_RATIO, surface
from depth.exports.view import ASSUMED, ASSUMED_FOV_DEG, View, view_of
from depth.family import FOCAL_NORMALISED, METRES, RELATIVE_DEPTH, RELATIVE_INVERSE, SKY
from depth.maps.result import EXIF, FOCAL_PX, FOV_DEG, Focal, Map
from depth.steps.focal import NOTHING_ASKED, FocalAsked
from tests.support.depth_samples import ramp, result

FOCAL = (10.0, 10.0)
TINY, LARGE = np.float32(1e-45), np.float32(3e38)


def flat(height_px: int = 4, width_px: int = 6, z: float = 2.0) -> np.ndarray:
    return np.full((height_px, width_px), z, np.float32)


def test_metres_are_distances() -> None:
    found = distances(Map(ramp(), METRES), None)
    assert (found.unit, found.relation) == ("m", "z = d")
    np.testing.assert_array_equal(found.z, ramp())


@pytest.mark.parametrize("values", [ramp(), ramp(low=0, high=TINY), ramp(low=0, high=LARGE)])
def test_inverse_depth_reaches_from_1_to_the_chosen_ratio(values: np.ndarray) -> None:
    found = distances(Map(values, RELATIVE_INVERSE), 500.0)
    assert found.unit is None
    assert found.z[-1, -1] == pytest.approx(1)
    assert found.z[0, 0] == pytest.approx(FAR_OVER_NEAR)
    assert np.isfinite(found.z).all()
    assert found.z.dtype == np.float32
    assert "unknown" in found.relation


def test_the_relation_that_is_said_gives_the_distances() -> None:
    found = distances(Map(ramp(), RELATIVE_INVERSE), None)
    numbers = [part.split(" = ")[1].rstrip(":") for part in found.relation.split(":")[0].split(",")]
    a, b = map(float, numbers[-2:])
    np.testing.assert_allclose(found.z, 1 / (a * ramp() + b), rtol=1e-4)


def test_a_constant_map_is_a_plane() -> None:
    found = distances(Map(flat(z=3.0), RELATIVE_INVERSE), None)
    assert (found.z == 1).all()


def test_only_a_known_focal_length_makes_metres() -> None:
    depth = Map(ramp(), FOCAL_NORMALISED, focal_divisor=300.0)
    known, unknown = distances(depth, 600.0), distances(depth, None)
    assert (known.unit, unknown.unit) == ("m", None)
    np.testing.assert_allclose(known.z, 2 * ramp())
    np.testing.assert_array_equal(unknown.z, ramp())
    assert distances(Map(ramp(), FOCAL_NORMALISED), 600.0).unit is None, "no divisor is known"
    assert distances(Map(ramp(), RELATIVE_DEPTH), 600.0).unit is None


def test_values_that_are_not_finite_are_refused() -> None:
    with pytest.raises(InputError, match="not all finite"):
        distances(Map(ramp(high=np.float32(np.nan)), METRES), None)


def test_the_camera_is_the_first_that_is_known() -> None:
    found, size = result(ramp()), (50, 100)
    assumed = view_of(found, NOTHING_ASKED, None, size)
    assert assumed.assumed
    assert assumed.described()["horizontal_deg"] == pytest.approx(ASSUMED_FOV_DEG)
    exif = view_of(found, NOTHING_ASKED, 80.0, size)
    assert (exif.fx, exif.source, exif.assumed) == (80.0, EXIF, False)
    asked = view_of(found, FocalAsked(fov_deg=90), 80.0, size)
    assert (asked.fx, asked.source) == (pytest.approx(50.0), FOV_DEG)


def test_a_camera_of_metres_is_kept_and_not_contradicted() -> None:
    metric = replace(result(ramp(), METRES), focal=Focal(500.0, FOCAL_PX))  # network 518 x 686
    size = (1036, 1372)
    kept = view_of(metric, NOTHING_ASKED, 80.0, size)
    assert (kept.fx, kept.source) == (pytest.approx(1000.0), FOCAL_PX)
    assert view_of(metric, FocalAsked(focal_px=1001.0), None, size) == kept
    with pytest.raises(InputError, match="leave the camera out"):
        view_of(metric, FocalAsked(focal_px=1100.0), None, size)


def test_a_focal_length_of_the_image_on_a_smaller_map() -> None:
    view = View(100.0, 100.0, (101, 201), ASSUMED)
    assert view.on_grid((51, 101)) == (pytest.approx(50.0), pytest.approx(50.0))
    assert view.on_grid((101, 201)) == (pytest.approx(100.0), pytest.approx(100.0))
    assert view.on_grid((1, 1)) == (pytest.approx(100 / 201), pytest.approx(100 / 101))


def test_axes_are_those_of_gltf() -> None:
    found = surface(flat(3, 5), FOCAL)
    np.testing.assert_allclose(found.points[0], [-2 / 10 * 2, 1 / 10 * 2, -2])  # upper left
    np.testing.assert_allclose(found.points[-1], [2 / 10 * 2, -1 / 10 * 2, -2])  # lower right
    np.testing.assert_array_equal(found.places[[0, -1]], [[0, 0], [4, 2]])


def test_front_faces_are_counter_clockwise_for_the_camera() -> None:
    found = surface(flat(), FOCAL)
    first, second, third = (found.points[found.triangles[:, corner]] for corner in range(3))
    normals = np.cross(second - first, third - first)
    assert (normals[:, 2] > 0).all(), "they look back to the camera"
    assert len(found.triangles) == 2 * 3 * 5


def test_sky_and_what_has_no_distance_are_dropped() -> None:
    z, sky = flat(4, 6), np.zeros((4, 6), np.float32)
    sky[0] = 1.0
    z[3, 0] = 0.0
    found = surface(z, FOCAL, Map(sky, SKY))
    assert found.dropped == {"sky": 6, "no_distance": 1, "edge": 0}
    assert len(found.points) == 17
    assert found.places[:, 1].min() == 1
    assert found.triangles.max() == 16
    with pytest.raises(InputError, match="expected one size"):
        surface(z, FOCAL, Map(sky[1:], SKY))


@pytest.mark.parametrize(("factor", "count"), [(0.99, 30), (1.01, 20)])
def test_an_edge_has_no_triangles(factor: float, count: int) -> None:
    """Beyond the ratio the squares of one column are gone: 4 rows, 6 columns have 15 squares."""
    z = flat(5, 6)
    z[:, 3:] *= np.float32(EDGE_RATIO * factor)
    found = surface(z, FOCAL)
    assert len(found.triangles) == {30: 40, 20: 32}[count]
    assert found.dropped["edge"] == 0, "both sides of an edge are in other triangles"
    lone = flat(5, 6)
    lone[2, 2] *= 2
    assert surface(lone, FOCAL).dropped["edge"] == 1


def test_more_points_than_the_limit_are_thinned_out() -> None:
    found = surface(flat(40, 60), FOCAL, most=300)
    assert found.stride == math.ceil(math.sqrt(2400 / 300))
    assert len(found.points) == 14 * 20 <= 300
    assert found.places.max() == 57
    assert surface(flat(40, 60), FOCAL, most=2400).stride == 1


@pytest.mark.parametrize("z", [flat(1, 6), flat(6, 1), flat(z=0.0), flat(z=-1.0)])
def test_without_a_surface_there_is_an_error(z: np.ndarray) -> None:
    with pytest.raises(InputError, match="no surface is left"):
        surface(z, FOCAL)
