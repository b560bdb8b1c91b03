"""The lenses of COLMAP's camera models: where a ray of a pinhole camera falls in the image.

Source: COLMAP's camera models, in its documentation ("Camera Models") and `sensor/models.h`. Rays
are (x/z, y/z) of OpenCV's axes. Px as COLMAP has them: the image's corner is (0, 0).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Callable

import numpy as np

from depth.errors import InputError
from depth.scenes.scene import Doubles
from depth.sizes import Size

Bend = Callable[[Doubles, Doubles, Sequence[float]], tuple[Doubles, Doubles]]

_FLAT_RADIUS = 1e-12  # of a ray along the axis, whose direction in the image nobody knows
_LARGEST = 1e6  # px of a focal length or a principal point, times the long side
_FLAT_OMEGA = 1e-4  # of FOV: below, the formula divides nothing by nothing


@dataclass(frozen=True)
class Kind:
    """A camera model: its number, its focal lengths (1 or 2), and what it does to rays."""

    name: str
    number: int
    focals: int
    bends: int  # parameters of the distortion
    bend: Bend

    @property
    def parameters(self) -> int:
        return self.focals + 2 + self.bends


@dataclass(frozen=True)
class Lens:
    """A camera of a model. Raises InputError for parameters that no camera has.

    size        (height, width) px
    parameters  in COLMAP's order: focal lengths, principal point, distortion
    """

    kind: Kind
    size: Size
    parameters: tuple[float, ...]

    def __post_init__(self) -> None:
        most = _LARGEST * max(self.size)
        fx, fy, cx, cy = self.pinhole
        numbers = np.array(self.parameters)
        if not np.isfinite(numbers).all() or np.abs(numbers).max() > most or min(fx, fy) <= 0:
            raise InputError(
                f"a camera {self.kind.name} with the parameters {list(self.parameters)}: expected "
                f"finite numbers up to {most:.6g}, and focal lengths over 0"
            )

    @property
    def pinhole(self) -> tuple[float, float, float, float]:
        """fx, fy, cx, cy."""
        fx, (cx, cy) = self.parameters[0], self.parameters[self.kind.focals :][:2]
        return fx, self.parameters[self.kind.focals - 1], cx, cy

    @property
    def straight(self) -> bool:
        """Whether it is a pinhole camera: nothing is distorted."""
        return self.kind.bend is _straight

    @property
    def matrix(self) -> Doubles:
        """Intrinsics [3,3] without the distortion."""
        fx, fy, cx, cy = self.pinhole
        return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])

    def places(self, x: Doubles, y: Doubles) -> tuple[Doubles, Doubles]:
        """Px of rays. Rays that the formula does not reach get NaN or a far place."""
        fx, fy, cx, cy = self.pinhole
        with np.errstate(all="ignore"):
            u, v = self.kind.bend(x, y, self.parameters[self.kind.focals + 2 :])
            return fx * u + cx, fy * v + cy


def _straight(x: Doubles, y: Doubles, _: Sequence[float]) -> tuple[Doubles, Doubles]:
    return x, y


def _series(square: Doubles, factors: Sequence[float]) -> Doubles:
    """a*s + b*s² + ..."""
    found = np.zeros_like(square)
    for factor in reversed(factors):
        found = (found + factor) * square
    return found


def _radial(x: Doubles, y: Doubles, k: Sequence[float]) -> tuple[Doubles, Doubles]:
    factor = 1 + _series(x * x + y * y, k)
    return x * factor, y * factor


def _tangential(x: Doubles, y: Doubles, p1: float, p2: float) -> tuple[Doubles, Doubles]:
    """What is added, as Brown and OpenCV have it."""
    square, both = x * x + y * y, 2 * x * y
    return p1 * both + p2 * (square + 2 * x * x), p2 * both + p1 * (square + 2 * y * y)


def _opencv(x: Doubles, y: Doubles, of: Sequence[float]) -> tuple[Doubles, Doubles]:
    (u, v), (du, dv) = _radial(x, y, of[:2]), _tangential(x, y, of[2], of[3])
    return u + du, v + dv


def _full_opencv(x: Doubles, y: Doubles, of: Sequence[float]) -> tuple[Doubles, Doubles]:
    k1, k2, p1, p2, k3, k4, k5, k6 = of
    square = x * x + y * y
    factor = (1 + _series(square, (k1, k2, k3))) / (1 + _series(square, (k4, k5, k6)))
    du, dv = _tangential(x, y, p1, p2)
    return x * factor + du, y * factor + dv


def _fov(x: Doubles, y: Doubles, of: Sequence[float]) -> tuple[Doubles, Doubles]:
    """Devernay and Faugeras, 2001."""
    omega = of[0]
    radius = np.hypot(x, y)
    if abs(omega) < _FLAT_OMEGA:
        factor = 1 + omega**2 * (1 / 12 - radius**2 / 3)
    else:
        slope = 2 * np.tan(omega / 2)
        safe = np.maximum(radius, _FLAT_RADIUS)
        factor = np.arctan(safe * slope) / (safe * omega)
    return x * factor, y * factor


def _fisheye(x: Doubles, y: Doubles, _: Sequence[float] = ()) -> tuple[Doubles, Doubles]:
    """Places at a distance from the middle that is the angle to the axis."""
    radius = np.hypot(x, y)
    factor = np.where(radius > _FLAT_RADIUS, np.arctan(radius) / np.fmax(radius, _FLAT_RADIUS), 1)
    return x * factor, y * factor


def _radial_fisheye(x: Doubles, y: Doubles, k: Sequence[float]) -> tuple[Doubles, Doubles]:
    return _radial(*_fisheye(x, y), k)


def _thin_prism(x: Doubles, y: Doubles, of: Sequence[float]) -> tuple[Doubles, Doubles]:
    k1, k2, p1, p2, k3, k4, sx, sy = of
    x, y = _fisheye(x, y)
    square = x * x + y * y
    (u, v), (du, dv) = _radial(x, y, (k1, k2, k3, k4)), _tangential(x, y, p1, p2)
    return u + du + sx * square, v + dv + sy * square


def _rad_tan_thin_prism(x: Doubles, y: Doubles, of: Sequence[float]) -> tuple[Doubles, Doubles]:
    """Of Project Aria: tangential and prism parts come after the radial part."""
    p0, p1, s0, s1, s2, s3 = of[6:]
    u, v = _radial_fisheye(x, y, of[:6])
    square = u * u + v * v
    du, dv = _tangential(u, v, p1, p0)
    return u + du + _series(square, (s0, s1)), v + dv + _series(square, (s2, s3))


def _division(x: Doubles, y: Doubles, of: Sequence[float]) -> tuple[Doubles, Doubles]:
    """Fitzgibbon, 2001: the ray is the place divided by 1 + k r²."""
    factor = 2 / (1 + np.sqrt(1 - 4 * of[0] * (x * x + y * y)))
    return x * factor, y * factor


def _eucm(x: Doubles, y: Doubles, of: Sequence[float]) -> tuple[Doubles, Doubles]:
    """The enhanced unified model: Khomutenko, Garcia and Martinet, 2016."""
    alpha, beta = of
    depth = alpha * np.sqrt(beta * (x * x + y * y) + 1) + 1 - alpha
    return x / depth, y / depth


KINDS = (
    Kind("SIMPLE_PINHOLE", 0, 1, 0, _straight),
    Kind("PINHOLE", 1, 2, 0, _straight),
    Kind("SIMPLE_RADIAL", 2, 1, 1, _radial),
    Kind("RADIAL", 3, 1, 2, _radial),
    Kind("OPENCV", 4, 2, 4, _opencv),
    Kind("OPENCV_FISHEYE", 5, 2, 4, _radial_fisheye),
    Kind("FULL_OPENCV", 6, 2, 8, _full_opencv),
    Kind("FOV", 7, 2, 1, _fov),
    Kind("SIMPLE_RADIAL_FISHEYE", 8, 1, 1, _radial_fisheye),
    Kind("RADIAL_FISHEYE", 9, 1, 2, _radial_fisheye),
    Kind("THIN_PRISM_FISHEYE", 10, 2, 8, _thin_prism),
    Kind("RAD_TAN_THIN_PRISM_FISHEYE", 11, 2, 12, _rad_tan_thin_prism),
    Kind("SIMPLE_DIVISION", 12, 1, 1, _division),
    Kind("DIVISION", 13, 2, 1, _division),
    Kind("SIMPLE_FISHEYE", 14, 1, 0, _fisheye),
    Kind("FISHEYE", 15, 2, 0, _fisheye),
    Kind("EUCM", 16, 2, 2, _eucm),
)
REFUSED = {"EQUIRECTANGULAR": 17}  # a panorama: no pinhole camera shows it


def kind_named(name: str) -> Kind:
    """A camera model by its name. Raises InputError that lists those there are."""
    found = next((kind for kind in KINDS if kind.name == name), None)
    if found is None:
        names = ", ".join(kind.name for kind in KINDS)
        raise InputError(
            f"camera model {name[:60]!r}: not done; undistort the images with COLMAP first, or "
            f"take one of {names}"
        )
    return found


def kind_numbered(number: int) -> Kind:
    """A camera model by its number in binary files. Raises InputError as `kind_named`."""
    found = next((kind for kind in KINDS if kind.number == number), None)
    refused = next((name for name, value in REFUSED.items() if value == number), str(number))
    return found or kind_named(refused)
