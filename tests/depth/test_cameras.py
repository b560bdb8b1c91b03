"""Cameras as matrices, and as the nine numbers of networks."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from depth.errors import InputError
from depth.maps.result import FloatArray
from depth.steps.cameras import (
    Cameras,
    cameras_of_codes,
    codes_of_cameras,
    given_cameras,
    normalised,
)

SIZE = (56, 84)


def turned(axis: tuple[float, float, float], degrees: float) -> npt.NDArray[np.float64]:
    """Rodrigues' formula."""
    x, y, z = np.array(axis) / np.linalg.norm(axis)
    angle = np.radians(degrees)
    k = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * k + (1 - np.cos(angle)) * k @ k


# Every axis as the largest part of a quaternion, half turns, and hardly any turn.
TURNS = [
    turned(axis, degrees)
    for axis in ((1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 2, 3), (-1, 0.1, 0))
    for degrees in (0.01, 30, 120, 179.9, 180, 200)
]


def placed() -> Cameras:
    extrinsics = np.zeros((len(TURNS), 3, 4))
    extrinsics[:, :, :3] = TURNS
    extrinsics[:, :, 3] = np.random.default_rng(0).standard_normal((len(TURNS), 3))
    intrinsics = np.tile(np.array([[70.0, 0, 42], [0, 90, 28], [0, 0, 1]]), (len(TURNS), 1, 1))
    return Cameras(extrinsics.astype(np.float32), intrinsics.astype(np.float32))


def test_cameras_become_nine_numbers_and_come_back() -> None:
    cameras = placed()
    codes = codes_of_cameras(cameras, SIZE)
    assert codes.shape == (len(TURNS), 9)
    assert codes.dtype == np.float32
    assert np.allclose(np.linalg.norm(codes[:, 3:7], axis=1), 1, atol=1e-6)
    assert (codes[:, 6] >= 0).all()
    found = cameras_of_codes(codes, SIZE)
    assert np.abs(found.extrinsics - cameras.extrinsics).max() < 2e-6
    assert np.allclose(found.intrinsics, cameras.intrinsics, rtol=1e-6)


def test_nine_numbers_by_hand() -> None:
    half = np.sqrt(0.5)
    # At (1,2,3), turned by 90 degrees about y: the camera's z axis is the world's x axis.
    code = np.array([[1, 2, 3, 0, half, 0, half, np.pi / 2, 2 * np.arctan(0.5)]], dtype=np.float32)
    for factor in (1, 7):  # the length of a quaternion does not count
        scaled = code.copy()
        scaled[:, 3:7] *= factor
        cameras = cameras_of_codes(scaled, SIZE)
        assert np.allclose(cameras.extrinsics[0, :, :3] @ (1, 0, 0), (0, 0, 1), atol=1e-6)
        assert np.allclose(cameras.extrinsics[0] @ (1, 2, 3, 1), 0, atol=1e-6)
        assert np.allclose(cameras.intrinsics[0], [[84, 0, 42], [0, 28, 28], [0, 0, 1]], rtol=1e-6)


def test_an_angle_of_nothing_and_no_rotation_stay_finite() -> None:
    cameras = cameras_of_codes(np.zeros((2, 9), dtype=np.float32), SIZE)
    assert np.allclose(cameras.extrinsics[:, :, :3], np.eye(3))
    assert np.allclose(cameras.intrinsics[:, 0, 0], 42e6)


def test_given_cameras_are_normalised() -> None:
    matrices: FloatArray = placed().extrinsics[5:9].copy()
    centres = -np.einsum("sji,sj->si", matrices[:, :, :3], matrices[:, :, 3])
    found = normalised(matrices)
    assert np.allclose(found[0], np.eye(3, 4), atol=1e-6)
    away = np.linalg.norm(centres - centres[0], axis=1)
    now = np.linalg.norm(found[:, :, 3], axis=1)
    assert np.allclose(now, away / np.sort(away)[1], atol=1e-5)  # the lower of two medians
    # Rotations between two views stay.
    between = matrices[2, :, :3] @ matrices[1, :, :3].T
    assert np.allclose(found[2, :, :3] @ found[1, :, :3].T, between, atol=1e-5)


def test_cameras_at_one_place_are_not_divided_by_nothing() -> None:
    found = normalised(np.tile(placed().extrinsics[:1], (3, 1, 1)))
    assert np.allclose(found, np.eye(3, 4), atol=1e-6)


def test_nearly_a_rotation_becomes_the_nearest() -> None:
    """Digits cut off in a file; up to 1e-4 nothing changes."""
    exact = np.column_stack((turned((1, 2, 3), 40), (1, 2, 3)))
    lens = np.diag([50.0, 50.0, 1.0])[None]
    for digits, same in ((5, True), (2, False)):
        cut = exact.round(digits)
        found = given_cameras(cut[None], lens, 1).extrinsics[0].astype(np.float64)
        assert np.array_equal(found, cut.astype(np.float32)) == same
        assert np.abs(found[:, :3].T @ found[:, :3] - np.eye(3)).max() < 1e-4
        assert np.abs(found - exact).max() < 10.0**-digits
        assert np.array_equal(found[:, 3], exact[:, 3])
    assert np.array_equal(cut, exact.round(2)), "the caller's matrix stays"


def test_square_matrices_are_taken() -> None:
    cameras = placed()
    square = np.concatenate(
        (cameras.extrinsics, np.tile([[[0, 0, 0, 1]]], (len(TURNS), 1, 1))), axis=1
    )
    for given in (square, cameras.extrinsics, square.tolist()):
        found = given_cameras(given, cameras.intrinsics, len(TURNS))
        assert np.allclose(found.extrinsics, cameras.extrinsics)


EYE = np.tile(np.eye(4), (2, 1, 1))
LENS = np.tile(np.diag((60.0, 60, 1)), (2, 1, 1))


def changed(values: npt.NDArray[np.float64], place: Any, value: float) -> npt.NDArray[np.float64]:
    found = values.copy()
    found[place] = value
    return found


@pytest.mark.parametrize(
    ("extrinsics", "intrinsics", "said"),
    [
        (EYE[:1], LENS, r"extrinsics \(1, 4, 4\): expected \(2,3,4\) or \(2,4,4\), world to cam"),
        (EYE[:, :2], LENS, "extrinsics .*expected"),
        (EYE, LENS[0], r"intrinsics \(3, 3\): expected \(2,3,3\)"),
        ("cameras", LENS, "extrinsics: expected numbers"),
        ([[1], [1, 2]], LENS, "extrinsics: expected numbers"),
        (changed(EYE, (1, 0, 3), np.nan), LENS, "extrinsics: not all numbers are finite"),
        (EYE, changed(LENS, (0, 0, 2), np.inf), "intrinsics: not all numbers are finite"),
        (changed(EYE, (1, 3, 3), 2), LENS, "the last row of a matrix is not 0 0 0 1"),
        (changed(EYE, (1, 0, 0), 2), LENS, "extrinsics of view 1: .* do not rotate"),
        (changed(EYE, (0, 0, 0), -1), LENS, "extrinsics of view 0: .* do not rotate"),
        (EYE, changed(LENS, (1, 1, 1), 0), "a focal length is not over 0 px"),
    ],
)
def test_what_is_no_camera_is_refused(extrinsics: object, intrinsics: object, said: str) -> None:
    with pytest.raises(InputError, match=said):
        given_cameras(extrinsics, intrinsics, 2)
