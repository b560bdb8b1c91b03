"""Spherical harmonics of degree 0 to 2, real, as files of Gaussians have them.

Order and signs are those of Kerbl et al., "3D Gaussian Splatting", 2023: degree 0, then -y z -x,
then xy -yz 2zz-xx-yy -xz xx-yy, each times its factor.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

COUNT = 9
DEGREES = np.array([0, 1, 1, 1, 2, 2, 2, 2, 2])  # of each harmonic

_ZERO, _ONE = 0.5 / np.sqrt(np.pi), np.sqrt(0.75 / np.pi)
_TWO = np.sqrt(15 / np.pi) * np.array([0.5, -0.5, 1 / np.sqrt(48), -0.5, 0.25])

Doubles = npt.NDArray[np.float64]


def harmonics_of(directions: Doubles) -> Doubles:
    """[N,9]: the harmonics at directions [N,3] of length 1."""
    x, y, z = directions.T
    one = -_ONE * y, _ONE * z, -_ONE * x
    two = x * y, y * z, 2 * z * z - x * x - y * y, x * z, x * x - y * y
    return np.stack([np.full_like(x, _ZERO), *one, *(f * v for f, v in zip(_TWO, two))], axis=1)


def rotation_of_harmonics(rotation: Doubles) -> Doubles:
    """[9,9]: what a rotation [3,3] of a function does to its coefficients.

    The function is a sum of harmonics; after the rotation R its value at d is what it was at
    R transposed d. Harmonics of one degree stay among themselves, so the matrix follows from the
    values at enough directions.
    """
    found: Doubles = _INVERSE @ harmonics_of(_DIRECTIONS @ rotation)
    return np.where(DEGREES[:, np.newaxis] == DEGREES, found, 0.0)


def _directions() -> Doubles:
    """The middles of the faces and edges of a cube, and its corners."""
    grid = np.stack(np.meshgrid(*[[-1.0, 0.0, 1.0]] * 3), axis=-1).reshape(-1, 3)
    lengths = np.linalg.norm(grid, axis=1)
    return grid[lengths > 0] / lengths[lengths > 0, np.newaxis]


_DIRECTIONS = _directions()
_INVERSE = np.linalg.pinv(harmonics_of(_DIRECTIONS))
