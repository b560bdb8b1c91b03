"""Gaussians of pixels: places, sizes, rotations, colours."""

from __future__ import annotations

import numpy as np
import pytest

from depth.steps.alignment import Similarity
from depth.steps.cameras import Cameras, cameras_of_codes
from depth.steps.gaussians import CHANNELS, Gaussians, gaussians_of, moved, pose_scale
from depth.steps.harmonics import harmonics_of, rotation_of_harmonics

H, W = 3, 4
CODES = np.array([[0, 0, 0, 0, 0, 0, 1, 0.8, 1.0], [1, 2, 3, 0.2, -0.4, 0.1, 0.8, 0.8, 1.0]])
CAMERAS = cameras_of_codes(CODES.astype(np.float32), (H, W))


def rotation(seed: int) -> np.ndarray:
    found, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((3, 3)))
    return found * np.linalg.det(found)


def made(raw: np.ndarray, depth: float = 2.0, scale: float = 1.0) -> Gaussians:
    size = raw.shape[:3]
    opacities, depths = np.full(size, 0.25, np.float32), np.full(size, depth, np.float32)
    return gaussians_of(raw, opacities, depths, CAMERAS, scale)


def plain() -> np.ndarray:
    raw = np.zeros((2, H, W, CHANNELS), np.float32)
    raw[..., 8] = 1  # the real part of the quaternion
    return raw


def in_camera(found: Gaussians, view: int) -> np.ndarray:
    means = found.means.reshape(2, H * W, 3)[view]
    placed = CAMERAS.extrinsics[view]
    return means @ placed[:, :3].T + placed[:, 3]


def test_a_gaussian_lies_on_the_ray_of_its_pixel_as_far_as_depth_says() -> None:
    rows, columns = np.divmod(np.arange(H * W), W)
    for view in range(2):
        seen = in_camera(made(plain()), view)
        np.testing.assert_allclose(np.linalg.norm(seen, axis=1), 2, rtol=1e-5)
        places = seen[:, :2] / seen[:, 2:]
        lens = CAMERAS.intrinsics[view]
        np.testing.assert_allclose(places[:, 0] * lens[0, 0] + lens[0, 2], columns + 0.5, rtol=1e-4)
        np.testing.assert_allclose(places[:, 1] * lens[1, 1] + lens[1, 2], rows + 0.5, rtol=1e-4)


def test_offsets_move_it_by_px_and_along_the_ray() -> None:
    raw = plain()
    raw[..., 0], raw[..., 1], raw[..., -1] = 0.25, -0.5, 1.5
    rows, columns = np.divmod(np.arange(H * W), W)
    seen, lens = in_camera(made(raw), 1), CAMERAS.intrinsics[1]
    np.testing.assert_allclose(np.linalg.norm(seen, axis=1), 3.5, rtol=1e-5)
    x = seen[:, 0] / seen[:, 2] * lens[0, 0] + lens[0, 2]
    y = seen[:, 1] / seen[:, 2] * lens[1, 1] + lens[1, 2]
    np.testing.assert_allclose(x, columns + 0.75, rtol=1e-4)
    np.testing.assert_allclose(y, rows, atol=1e-4)


def test_sizes_are_those_of_pixels_at_that_distance() -> None:
    found = made(plain()).scales
    lens = CAMERAS.intrinsics[0]
    pixel = 0.1 * (1 / lens[0, 0] + 1 / lens[1, 1])
    np.testing.assert_allclose(found, 15.000005 * 2 * pixel, rtol=1e-5)
    raw = plain()
    raw[..., 2], raw[..., 3] = -500, 500
    found = made(raw).scales
    np.testing.assert_allclose(found[:, 0], 1e-5 * 2 * pixel, rtol=1e-3)
    np.testing.assert_allclose(found[:, 1], 30 * 2 * pixel, rtol=1e-5)
    assert (made(plain(), depth=-1.0).scales < 0).all()


def test_rotations_are_those_of_the_camera_after_those_of_the_gaussian() -> None:
    """In upstream's order: the network's x y z w are read as y z w x, and written as x y z w."""
    raw = plain()
    raw[..., 5:9] = 3 * np.array([0.3, -0.2, 0.5, 0.7])  # of any length
    found = made(raw)
    assert (found.rotations[:, 3] >= 0).all()
    np.testing.assert_allclose(np.linalg.norm(found.rotations, axis=1), 1, rtol=1e-6)
    camera = CAMERAS.extrinsics[1][:, :3].T.astype(float)
    own = matrix(np.array([0.5, 0.7, 0.3, -0.2]))
    np.testing.assert_allclose(matrix(found.rotations[-1][[3, 0, 1, 2]]), camera @ own, atol=1e-5)
    # Of a camera that does not turn, a reader gets back what the network means: w x y z.
    meant = np.array([0.7, 0.3, -0.2, 0.5]) / np.linalg.norm([0.3, -0.2, 0.5, 0.7])
    np.testing.assert_allclose(found.rotations[0], meant, rtol=1e-5)
    raw[0, 0, 0, 5:9] = 0  # no rotation at all
    assert made(raw).sound().sum() == 2 * H * W - 1


def matrix(quaternion: np.ndarray) -> np.ndarray:
    """[3,3] of w x y z: what it does to the axes, by products of quaternions."""
    w, x, y, z = quaternion / np.linalg.norm(quaternion)
    left = np.array([[w, -x, -y, -z], [x, w, -z, y], [y, z, w, -x], [z, -y, x, w]])
    right = np.array([[w, x, y, z], [-x, w, -z, y], [-y, z, w, -x], [-z, -y, x, w]])
    found: np.ndarray = (left @ right)[1:, 1:]
    return found


def test_colours_seen_from_a_direction_turn_with_the_camera() -> None:
    raw = plain()
    coefficients = np.random.default_rng(0).standard_normal((3, 9)).astype(np.float32)
    raw[..., 9:-1] = coefficients.reshape(-1)
    found = made(raw).harmonics[-1]
    degree = np.array([1, 0.025, 0.025, 0.025, *[0.00625] * 5])
    directions = np.random.default_rng(1).standard_normal((20, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    turned = directions @ CAMERAS.extrinsics[1][:, :3].T.astype(float)  # world to camera
    expected = harmonics_of(turned) @ (coefficients * degree).T
    np.testing.assert_allclose(harmonics_of(directions) @ found.T, expected, atol=1e-6)


def test_harmonics_are_orthonormal_and_turn_as_rotations_do() -> None:
    rng = np.random.default_rng(2)
    directions = rng.standard_normal((200_000, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    values = harmonics_of(directions)
    np.testing.assert_allclose(values.T @ values / len(values) * 4 * np.pi, np.eye(9), atol=0.02)
    first, second = rotation(3), rotation(4)
    one, two = rotation_of_harmonics(first), rotation_of_harmonics(second)
    np.testing.assert_allclose(one @ one.T, np.eye(9), atol=1e-12)
    np.testing.assert_allclose(rotation_of_harmonics(first @ second), one @ two, atol=1e-12)
    np.testing.assert_allclose(
        harmonics_of(directions[:9]) @ one, harmonics_of(directions[:9] @ first), atol=1e-12
    )


def test_the_scale_of_poses_moves_cameras_and_depth() -> None:
    once, twice = made(plain()), made(plain(), scale=2.0)
    np.testing.assert_allclose(twice.means, 2 * once.means, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(twice.scales, 2 * once.scales, rtol=1e-5)
    np.testing.assert_array_equal(twice.rotations, once.rotations)


@pytest.mark.parametrize(("factor", "expected"), [(1.0, 1.0), (2.5, 2.5), (9.0, 3.0), (0.1, 1 / 3)])
def test_given_cameras_say_the_scale_from_a_third_to_three(factor: float, expected: float) -> None:
    codes = np.tile(CODES[1], (5, 1))
    codes[:, :3] = np.random.default_rng(5).standard_normal((5, 3))
    predicted = cameras_of_codes(codes.astype(np.float32), (H, W))
    codes[:, :3] *= factor
    given = cameras_of_codes(codes.astype(np.float32), (H, W))
    assert pose_scale(predicted.extrinsics, given.extrinsics) == pytest.approx(expected, rel=1e-4)


def test_a_part_of_the_gaussians() -> None:
    found = made(plain())
    some = np.arange(2 * H * W) % 2 == 0
    assert len(found[some]) == H * W
    np.testing.assert_array_equal(found[some].means, found.means[some])
    assert isinstance(CAMERAS, Cameras)


def test_a_similarity_moves_places_sizes_rotations_and_colours() -> None:
    raw = plain()
    raw[..., 5:-1] = np.random.default_rng(7).standard_normal(raw[..., 5:-1].shape)
    before, turn, shift = made(raw), rotation(8), np.array([1.0, -2, 3])
    after = moved(before, Similarity(turn, shift, 2.5))
    np.testing.assert_allclose(after.means, 2.5 * before.means @ turn.T + shift, rtol=1e-5)
    np.testing.assert_allclose(after.scales, 2.5 * before.scales, rtol=1e-6)
    np.testing.assert_allclose(
        matrix(after.rotations[5]), turn @ matrix(before.rotations[5]), atol=1e-5
    )
    directions = np.eye(3)[[0, 1, 2, 2]] @ rotation(9)
    seen = harmonics_of(directions @ turn.T) @ after.harmonics[5].T
    np.testing.assert_allclose(seen, harmonics_of(directions) @ before.harmonics[5].T, atol=1e-5)
    np.testing.assert_array_equal(after.opacities, before.opacities)
