"""Cameras as matrices, and as the nine numbers that networks read and write.

The nine numbers: position of the camera in the world (3), its rotation as quaternion x y z w (4),
vertical and horizontal angle of view in radians. Axes as OpenCV has them: x right, y down, z
forward. Computed in float64, returned in float32.

Shapes: S views | extrinsics [S,3,4] world to camera | intrinsics [S,3,3] in px of the network's
        input
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from depth.errors import InputError
from depth.maps.result import FloatArray
from depth.sizes import Size

CODE = 9
_LEAST_TANGENT = (
    1e-6  # of half an angle of view: a camera of angle 0 has a focal length all the same
)
_LEAST_DISTANCE = 0.1  # by which given positions are divided
_NOT_ROTATED = 1e-2  # largest entry of R^T R - 1 of what passes as a rotation
_NEARLY = 1e-4  # above, the nearest rotation takes its place: digits were cut off

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Cameras:
    """Where the camera of each view was, and its lens."""

    extrinsics: FloatArray  # [S,3,4]
    intrinsics: FloatArray  # [S,3,3]


def cameras_of_codes(codes: FloatArray, size: Size) -> Cameras:
    """From [S,9]; the principal point is the centre of the picture of `size` = (height, width) px.

    As `pose_encoding_to_extri_intri` in upstream's model/utils/transform.py.
    """
    doubles = codes.astype(np.float64)
    rotations, centres = _rotations(doubles[:, 3:7]), doubles[:, :3]
    half = np.array(size, dtype=np.float64) / 2  # height, width
    focal_y, focal_x = (half / np.maximum(np.tan(doubles[:, 7:] / 2), _LEAST_TANGENT)).T
    intrinsics = np.zeros((len(codes), 3, 3))
    intrinsics[:, 0, 0], intrinsics[:, 1, 1] = focal_x, focal_y
    intrinsics[:, 0, 2], intrinsics[:, 1, 2] = half[1], half[0]
    intrinsics[:, 2, 2] = 1
    return Cameras(other_way(rotations, centres).astype(np.float32), intrinsics.astype(np.float32))


def codes_of_cameras(cameras: Cameras, size: Size) -> FloatArray:
    """To [S,9], for the encoder of cameras; see `normalised`.

    As `extri_intri_to_pose_encoding` in upstream's model/utils/transform.py.
    """
    placed = cameras.extrinsics.astype(np.float64)
    to_world = other_way(placed[:, :, :3], placed[:, :, 3])
    focal = cameras.intrinsics.astype(np.float64)[:, (1, 0), (1, 0)]  # fy, fx
    angles = 2 * np.arctan(np.array(size, dtype=np.float64) / 2 / focal)
    quaternions = np.stack([_quaternion(rotation) for rotation in to_world[:, :, :3]])
    return np.concatenate((to_world[:, :, 3], quaternions, angles), axis=1).astype(np.float32)


def normalised(extrinsics: FloatArray) -> FloatArray:
    """Given extrinsics as the encoder of cameras wants them: the first camera is the world.

    Positions are divided by the lower median of their distances from it, or 0.1 if that is larger.
    As `_normalize_extrinsics` in upstream's api.py.
    """
    placed = _square(extrinsics)
    placed = placed @ _square(other_way(placed[:1, :3, :3], placed[:1, :3, 3]))
    distances = np.linalg.norm(other_way(placed[:, :3, :3], placed[:, :3, 3])[:, :, 3], axis=1)
    median = np.sort(distances)[(len(distances) - 1) // 2]
    placed[:, :3, 3] /= max(median, _LEAST_DISTANCE)
    return placed[:, :3].astype(np.float32)


def given_cameras(extrinsics: object, intrinsics: object, views: int) -> Cameras:
    """Cameras that a caller gives, one per view.

    extrinsics  [S,3,4] or [S,4,4] with a last row of 0 0 0 1
    intrinsics  [S,3,3]

    Nearly a rotation becomes the nearest rotation. Raises InputError for other shapes, numbers that
    are not finite, no rotation, or a focal length that is not over 0.
    """
    placed, lens = _numbers(extrinsics, "extrinsics"), _numbers(intrinsics, "intrinsics")
    if placed.shape not in ((views, 3, 4), (views, 4, 4)):
        raise InputError(
            f"extrinsics {placed.shape}: expected ({views},3,4) or ({views},4,4), world to camera"
        )
    if lens.shape != (views, 3, 3):
        raise InputError(f"intrinsics {lens.shape}: expected ({views},3,3)")
    if placed.shape[1] == 4 and not np.allclose(placed[:, 3], (0, 0, 0, 1)):
        raise InputError("extrinsics: the last row of a matrix is not 0 0 0 1")
    for view, rotation in enumerate(placed[:, :3, :3]):
        off = np.abs(rotation.T @ rotation - np.eye(3)).max()
        if off > _NOT_ROTATED or np.linalg.det(rotation) < 0:
            raise InputError(f"extrinsics of view {view}: the first three columns do not rotate")
        if off > _NEARLY:
            placed[view, :3, :3] = nearest_rotation(rotation)
    if not (lens[:, (0, 1), (0, 1)] > 0).all():
        raise InputError("intrinsics: a focal length is not over 0 px")
    return Cameras(placed[:, :3].astype(np.float32), lens.astype(np.float32))


def nearest_rotation(matrix: Doubles) -> Doubles:
    """The rotation that is nearest to a matrix [3,3]."""
    left, _, right = np.linalg.svd(matrix)
    sign = np.sign(np.linalg.det(left) * np.linalg.det(right))
    return left @ np.diag([1.0, 1.0, sign]) @ right


def _numbers(values: object, name: str) -> Doubles:
    try:
        found = np.array(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name}: expected numbers: {error}") from error
    if not np.isfinite(found).all():
        raise InputError(f"{name}: not all numbers are finite")
    return found


def _square(extrinsics: npt.NDArray[Any]) -> Doubles:  # [S,3,4] -> [S,4,4]
    last = np.broadcast_to(np.array([0.0, 0, 0, 1]), (len(extrinsics), 1, 4))
    return np.concatenate((extrinsics.astype(np.float64), last), axis=1)


def other_way(rotations: Doubles, positions: Doubles) -> Doubles:
    """The other way: from camera-to-world to world-to-camera, or back.

    Shapes: [S,3,3], [S,3] -> [S,3,4].
    """
    back = rotations.transpose(0, 2, 1)
    return np.concatenate((back, -back @ positions[:, :, None]), axis=2)


def _rotations(quaternions: Doubles) -> Doubles:  # [S,4] -> [S,3,3]
    """Of any length; a quaternion of zeros does not rotate."""
    i, j, k, r = quaternions.T
    two = 2 / np.maximum((quaternions**2).sum(axis=1), np.finfo(np.float64).tiny)
    rows = [
        [1 - two * (j * j + k * k), two * (i * j - k * r), two * (i * k + j * r)],
        [two * (i * j + k * r), 1 - two * (i * i + k * k), two * (j * k - i * r)],
        [two * (i * k - j * r), two * (j * k + i * r), 1 - two * (i * i + j * j)],
    ]
    return np.moveaxis(np.array(rows), 2, 0)


def _quaternion(m: Doubles) -> Doubles:  # [3,3] -> [4]
    """x y z w with w >= 0, divided by the largest of the four, so that nothing small divides."""
    (a, b, c), x, y, z = np.diag(m), m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1]
    xy, xz, yz = m[1, 0] + m[0, 1], m[0, 2] + m[2, 0], m[1, 2] + m[2, 1]
    # Four times the square of x, y, z and w.
    squares = (1 + a - b - c, 1 - a + b - c, 1 - a - b + c, 1 + a + b + c)
    candidates = (
        (squares[0], xy, xz, x),
        (xy, squares[1], yz, y),
        (xz, yz, squares[2], z),
        (x, y, z, squares[3]),
    )
    largest = max((3, 0, 1, 2), key=squares.__getitem__)
    found = np.array(candidates[largest]) / (2 * np.sqrt(squares[largest]))
    return -found if found[3] < 0 else found


def quaternion_of(rotation: Doubles) -> FloatArray:
    """w x y z of a rotation [3,3], w not below 0."""
    found: FloatArray = _quaternion(rotation)[[3, 0, 1, 2]].astype(np.float32)
    return found
