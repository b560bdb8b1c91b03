"""What a network says of each pixel becomes a Gaussian in the world of its predicted cameras.

As upstream's model/gs_adapter.py: the ray of a pixel has length 1, so depth counts along the ray.

Letters: S views of H x W px | G = S*H*W Gaussians, view by view, row by row
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from depth.maps.result import FloatArray
from depth.steps.alignment import Rounds, Similarity, aligned
from depth.steps.cameras import Cameras, codes_of_cameras, quaternion_of
from depth.steps.harmonics import COUNT, DEGREES, rotation_of_harmonics

CHANNELS = 2 + 3 + 4 + 3 * COUNT + 1  # offset in px, scale, quaternion x y z w, colour, depth
_LEAST_SCALE, _LARGEST_SCALE = 1e-5, 30.0
_PIXEL_SHARE = 0.1
_POSE_SCALES = 1 / 3, 3.0
_ALL_VIEWS = Rounds(from_views=1 << 30)
# How much colours may depend on the direction, by degree: upstream trains with these factors.
_MASK = np.array([1.0, 0.025, 0.00625], np.float32)[DEGREES]
_TINY = 1e-8

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Gaussians:
    """G Gaussians in one world.

    means      [G,3]
    scales     [G,3] standard deviations; not over 0 where the network says depth below 0
    rotations  [G,4] quaternions as renderers read them, w x y z; see `_turned`
    harmonics  [G,3,9] colours R G B as spherical harmonics of degree 0 to 2
    opacities  [G], 0 to 1
    """

    means: FloatArray
    scales: FloatArray
    rotations: FloatArray
    harmonics: FloatArray
    opacities: FloatArray

    def __len__(self) -> int:
        return len(self.means)

    def __getitem__(self, kept: npt.NDArray[Any]) -> Gaussians:
        """Some of them, by a mask [G] or by numbers."""
        return Gaussians(*(getattr(self, field.name)[kept] for field in fields(self)))

    def sound(self) -> npt.NDArray[np.bool_]:
        """[G]: finite, with scales over 0 and a rotation; others cannot be drawn."""
        parts = [getattr(self, field.name).reshape(len(self), -1) for field in fields(self)]
        finite = np.all([np.isfinite(part).all(axis=1) for part in parts], axis=0)
        turned = np.abs(np.linalg.norm(self.rotations, axis=1) - 1) < 1e-2
        found: npt.NDArray[np.bool_] = finite & turned & (self.scales > 0).all(axis=1)
        return found


def gaussians_of(
    raw: FloatArray, opacities: FloatArray, depth: FloatArray, cameras: Cameras, scale: float = 1.0
) -> Gaussians:
    """The Gaussians of a scene.

    raw        [S,H,W,37] as the network gives them
    opacities  [S,H,W], 0 to 1
    depth      [S,H,W]
    cameras    predicted: of the depth's scale, px of the depth maps
    scale      by which depth and the positions of cameras are multiplied; see `pose_scale`
    """
    size = depth.shape[1], depth.shape[2]
    placed = codes_of_cameras(cameras, size)
    views = []
    for view, values in enumerate(raw):
        z = (depth[view] + values[..., -1]) * np.float32(scale)
        place = placed[view]
        rotation = cameras.extrinsics[view, :, :3].astype(np.float64).T
        inverse = np.linalg.inv(cameras.intrinsics[view].astype(np.float64))
        turned = (rotation @ inverse).astype(np.float32)
        centre = place[:3] * np.float32(scale)
        means = centre + _rays(values[..., :2], inverse, turned) * z[..., np.newaxis]
        views.append(
            Gaussians(
                means.reshape(-1, 3),
                _scales(values[..., 2:5], z, inverse).reshape(-1, 3),
                _turned(place[3:7], values[..., 5:9].reshape(-1, 4)),
                _harmonics(values[..., 9:-1].reshape(-1, 3, COUNT), rotation),
                opacities[view].ravel(),
            )
        )
    return Gaussians(
        *(np.concatenate([getattr(v, f.name) for v in views]) for f in fields(Gaussians))
    )


def pose_scale(predicted: FloatArray, given: FloatArray) -> float:
    """How much larger given cameras [S,3,4] lie than predicted ones, from 1/3 to 3.

    Given cameras are those that the network saw: `normalised` of `depth/steps/cameras.py`. Of two
    views, or of views on one line, upstream takes 1.
    """
    return float(np.clip(aligned(given, predicted, _ALL_VIEWS).scale, *_POSE_SCALES))


def moved(gaussians: Gaussians, found: Similarity) -> Gaussians:
    """The same in the world that a similarity transform leads to."""
    scale, quaternion = np.float32(found.scale), quaternion_of(found.rotation)
    return Gaussians(
        (found.scale * gaussians.means @ found.rotation.T + found.shift).astype(np.float32),
        gaussians.scales * scale,
        _product(quaternion, gaussians.rotations),
        gaussians.harmonics @ rotation_of_harmonics(found.rotation).T.astype(np.float32),
        gaussians.opacities,
    )


def matrices_of(quaternions: npt.NDArray[Any]) -> Doubles:
    """[P,3,3] of w x y z [P,4], of length 1."""
    w, x, y, z = quaternions.astype(np.float64).T
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.moveaxis(np.array(rows), 2, 0)


def _product(first: FloatArray, second: FloatArray) -> FloatArray:  # [4], [P,4] -> [P,4]
    """Of quaternions w x y z: the second rotation, then the first."""
    a, b, c, d = first
    w, x, y, z = second.T
    return np.stack(
        [
            a * w - b * x - c * y - d * z,
            a * x + b * w + c * z - d * y,
            a * y - b * z + c * w + d * x,
            a * z + b * y - c * x + d * w,
        ],
        axis=1,
    )


def _rays(offsets: FloatArray, inverse: Doubles, turned: FloatArray) -> FloatArray:
    """[H,W,3], of length 1, in the world; offsets [H,W,2] px from the centres of pixels."""
    height, width = offsets.shape[:2]
    places = np.ones((height, width, 3), np.float32)
    places[..., 0] = np.arange(width, dtype=np.float32) + np.float32(0.5)
    places[..., 1] = (np.arange(height, dtype=np.float32) + np.float32(0.5))[:, np.newaxis]
    places[..., :2] += offsets
    lengths = np.linalg.norm(places @ inverse.T.astype(np.float32), axis=2, keepdims=True)
    found: FloatArray = places @ turned.T / lengths
    return found


def _scales(raw: FloatArray, z: FloatArray, inverse: Doubles) -> FloatArray:  # -> [H,W,3]
    """The size of a pixel at that distance, several times smaller or larger."""
    pixel = np.float32(_PIXEL_SHARE * inverse[:2, :2].sum())
    share = np.float32(0.5) * (1 + np.tanh(raw / 2))  # a sigmoid that cannot overflow
    share = np.float32(_LEAST_SCALE) + np.float32(_LARGEST_SCALE - _LEAST_SCALE) * share
    found: FloatArray = share * (z * pixel)[..., np.newaxis]
    return found


def _turned(camera: FloatArray, raw: FloatArray) -> FloatArray:
    """Quaternions [P,4] of any length, turned by that of a camera, x y z w; of length 1.

    Upstream turns them in the order x y z w, though renderers read the result, and so the network
    means it, as w x y z. Here the numbers are the same: the last of the four is not below 0.
    """
    unit = raw / (np.linalg.norm(raw, axis=1, keepdims=True) + np.float32(_TINY))
    found = _product(camera[[3, 0, 1, 2]], unit[:, [2, 3, 0, 1]])[:, [1, 2, 3, 0]]
    found[found[:, 3] < 0] *= -1
    return found


def _harmonics(raw: FloatArray, rotation: Doubles) -> FloatArray:  # [P,3,9] -> [P,3,9]
    matrix = rotation_of_harmonics(rotation).astype(np.float32)
    found: FloatArray = (raw * _MASK) @ matrix.T
    return found
