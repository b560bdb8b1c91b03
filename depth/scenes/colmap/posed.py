"""What is taken of a COLMAP model: the name, lens and pose of each image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Optional

import numpy as np

from depth.errors import InputError
from depth.images.header import MAX_PIXELS
from depth.scenes.colmap.lenses import Kind, Lens
from depth.scenes.scene import Doubles

MAX_IMAGES = 100_000
_MAX_NAME_BYTES = 1024
_LEAST_LENGTH = 1e-6  # of a quaternion
_MAX_DISTANCE = 1e12


@dataclass(frozen=True, eq=False)
class Posed:
    """An image of the model.

    name        its path below the folder of images
    lens        its camera
    extrinsics  [3,4] float64, world to camera
    number      that points have it by
    """

    name: str
    lens: Lens
    extrinsics: Doubles
    number: int


def lens_of(kind: Kind, width: int, height: int, parameters: Sequence[float]) -> Lens:
    """A camera. Raises InputError for a size or numbers that no camera has."""
    if not (width > 0 and height > 0 and width * height <= MAX_PIXELS):
        raise InputError(
            f"a camera of {width}x{height} px: expected sides over 0, and up to {MAX_PIXELS} pixels"
        )
    return Lens(kind, (height, width), tuple(parameters))


def posed(
    named: tuple[int, str],
    pose: Sequence[float],
    camera: int,
    lenses: Mapping[int, Lens],
    given: set[str],
) -> Posed:
    """An image of these cameras.

    named  number and name
    pose   quaternion w x y z and translation, world to camera
    given  names that were there before; the new name is added

    Raises InputError for a name that leaves its folder or comes twice, a camera that is not there,
    and numbers that are no pose.
    """
    number, name = named
    problem = _problem(name)
    if problem or name in given:
        raise InputError(
            f"image {name[:80]!r}: {problem or 'two images have this name'}; expected a path below "
            "the folder of images, each once"
        )
    given.add(name)
    if camera not in lenses:
        raise InputError(f"image {name!r}: its camera {camera} is not in the model")
    numbers = np.array(pose, np.float64)
    length = float(np.linalg.norm(numbers[:4])) if np.isfinite(numbers).all() else 0.0
    if length < _LEAST_LENGTH or np.abs(numbers).max() > _MAX_DISTANCE:
        raise InputError(f"image {name!r}: {list(pose)} is no pose: expected finite numbers")
    extrinsics = np.concatenate((_rotation(numbers[:4] / length), numbers[4:, None]), axis=1)
    return Posed(name, lenses[camera], extrinsics, number)


def _problem(name: str) -> Optional[str]:
    """Why a name is no path below a folder; None if it is one."""
    parts = name.split("/")
    if not name or not name.isprintable() or len(name.encode("utf-8", "replace")) > _MAX_NAME_BYTES:
        return "not a printable name of a file"
    if "\\" in name or ":" in parts[0] or {"", ".", ".."} & set(parts):
        return "it leaves the folder of images"
    return None


def _rotation(quaternion: Doubles) -> Doubles:
    """Of a quaternion w x y z of length 1."""
    w, x, y, z = quaternion
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )
