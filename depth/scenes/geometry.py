"""Between px, cameras and the world. Px are counted from the image's corner: see `scene.py`."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from depth.scenes.scene import Doubles

OPENGL = np.diag([1.0, -1.0, -1.0, 1.0])  # axes of OpenCV's camera to those of OpenGL and glTF
HALF_PX = 0.5  # from a pixel's corner to its centre


def centres(rows: npt.NDArray[np.intp], columns: npt.NDArray[np.intp]) -> Doubles:
    """[N,2], (x, y) px: the centres of pixels."""
    return np.stack([columns + HALF_PX, rows + HALF_PX], axis=1)


def to_world(places: Doubles, z: Doubles, intrinsics: Doubles, extrinsics: Doubles) -> Doubles:
    """World points [N,3] of places [N,2] px at distances z [N] along the optical axis."""
    focal, middle = intrinsics[[0, 1], [0, 1]], intrinsics[:2, 2]
    seen = np.empty((len(places), 3))
    seen[:, :2] = (places - middle) / focal * z[:, np.newaxis]
    seen[:, 2] = z
    # Solved, not transposed: a rotation from a float32 network is orthonormal to 1e-6 at best.
    return np.linalg.solve(extrinsics[:, :3], (seen - extrinsics[:, 3]).T).T


def to_pixels(points: Doubles, intrinsics: Doubles, extrinsics: Doubles) -> tuple[Doubles, Doubles]:
    """Places [N,2] px and distances [N] along the optical axis of world points [N,3].

    Places of points that are not in front of the camera mean nothing.
    """
    seen = points @ extrinsics[:, :3].T + extrinsics[:, 3]
    z = seen[:, 2]
    safe = np.where(z > 0, z, 1.0)
    places = seen[:, :2] / safe[:, np.newaxis] * intrinsics[[0, 1], [0, 1]] + intrinsics[:2, 2]
    return places, z


def homogeneous(extrinsics: Doubles) -> Doubles:
    """[3,4] -> [4,4]."""
    return np.vstack([extrinsics, [0.0, 0.0, 0.0, 1.0]])


def camera_to_world(extrinsics: Doubles) -> Doubles:
    """[4,4], the inverse of world to camera [3,4]."""
    return np.linalg.inv(homogeneous(extrinsics))


def quaternion(rotation: Doubles) -> Doubles:
    """w, x, y, z of a rotation [3,3], w not below 0; of nearly a rotation, the closest one.

    The eigenvector of Bar-Itzhack, "New method for extracting the quaternion from a rotation
    matrix", 2000: no case is singular.
    """
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = rotation
    lower = np.array(
        [
            [xx - yy - zz, 0, 0, 0],
            [yx + xy, yy - xx - zz, 0, 0],
            [zx + xz, zy + yz, zz - xx - yy, 0],
            [zy - yz, xz - zx, yx - xy, xx + yy + zz],
        ]
    )
    _, vectors = np.linalg.eigh(lower)  # it reads the lower half
    x, y, z, w = vectors[:, -1]
    found = np.array([w, x, y, z])
    return -found if w < 0 else found
