"""Px, cameras and quaternions, by values that a pencil gives."""

from __future__ import annotations

import numpy as np
import pytest

from depth.scenes.geometry import camera_to_world, centres, quaternion, to_pixels, to_world
from tests.support.scene_readers import from_quaternion

MATRIX = np.array([[10.0, 0, 4], [0, 20.0, 3], [0, 0, 1]])
# It looks along the world's x from (-5, 0, 1): camera z is world x, camera x is world -y.
SIDEWAYS = np.array([[0.0, -1, 0, 0], [0, 0, -1, 1], [1, 0, 0, 5]])


def test_the_first_pixel_s_centre_is_half_a_pixel_from_the_corner() -> None:
    np.testing.assert_array_equal(
        centres(np.array([0, 2]), np.array([0, 3])), [[0.5, 0.5], [3.5, 2.5]]
    )


def test_a_place_and_a_distance_are_a_point_of_the_world() -> None:
    middle = to_world(np.array([[4.0, 3.0]]), np.array([5.0]), MATRIX, SIDEWAYS)
    np.testing.assert_allclose(middle, [[0, 0, 1]], atol=1e-12)
    right_below = to_world(np.array([[5.0, 5.0]]), np.array([5.0]), MATRIX, SIDEWAYS)
    np.testing.assert_allclose(right_below, [[0, -0.5, 0.5]], atol=1e-12)


def test_points_come_back_to_their_places() -> None:
    rng = np.random.default_rng(0)
    places, z = rng.uniform(0, 9, (50, 2)), rng.uniform(0.1, 9, 50)
    found, distance = to_pixels(to_world(places, z, MATRIX, SIDEWAYS), MATRIX, SIDEWAYS)
    np.testing.assert_allclose(found, places)
    np.testing.assert_allclose(distance, z)


def test_a_point_behind_the_camera_has_a_negative_distance_and_no_warning() -> None:
    _, z = to_pixels(np.array([[-6.0, 0, 1], [-5.0, 2, 2]]), MATRIX, SIDEWAYS)
    np.testing.assert_allclose(z, [-1, 0])


def test_the_centre_of_a_camera_is_in_its_inverse() -> None:
    np.testing.assert_allclose(camera_to_world(SIDEWAYS)[:3, 3], [-5, 0, 1])


HALF_TURNS = [
    np.diag(signs) for signs in ((1.0, -1, -1), (-1.0, 1, -1), (-1.0, -1, 1), (1.0, 1, 1))
]


@pytest.mark.parametrize("rotation", [*HALF_TURNS, SIDEWAYS[:, :3], SIDEWAYS[:, :3].T])
def test_a_quaternion_is_the_rotation(rotation: np.ndarray) -> None:
    found = quaternion(rotation)
    assert found[0] >= 0
    np.testing.assert_allclose(from_quaternion(*found.tolist()), rotation, atol=1e-12)


def test_quaternions_of_many_rotations_and_of_what_is_nearly_a_rotation() -> None:
    rng = np.random.default_rng(0)
    for values in rng.normal(size=(50, 4)):
        expected = values / np.linalg.norm(values) * np.sign(values[0])
        rotation = from_quaternion(*expected.tolist())
        np.testing.assert_allclose(quaternion(rotation), expected, atol=1e-12)
        near = quaternion(rotation + rng.normal(scale=1e-6, size=(3, 3)))
        assert np.linalg.norm(near) == pytest.approx(1, abs=1e-12)
        np.testing.assert_allclose(near, expected, atol=1e-5)
