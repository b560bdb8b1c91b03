"""Cameras that a caller gives, moved onto the cameras that the network predicts.

The similarity transform of Umeyama (1991) between the centres of the cameras, as upstream's
utils/pose_align.py. Where the centres settle no rotation, because there are one or two of them or
all lie on one line, the cameras' own rotations settle it.

Shapes: S views | extrinsics [S,3,4], world to camera | centres [S,3]
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from depth.maps.result import FloatArray
from depth.steps.cameras import nearest_rotation, other_way

logger = logging.getLogger(__name__)

_LINE = 1e-6  # second to first singular value, up to which centres lie on one line
_POINT = 1e-6  # spread of centres to their distance from the origin, up to which they are one place
_SHARE = 1e-6  # of the cameras' rotations, beside centres on one line
_FEWEST = 3  # views in a round, and in the last fit

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Rounds:
    """Upstream's parameters of the search for views that fit."""

    from_views: int = 10  # with fewer, all views count
    count: int = 10
    seed: int = 42


ROUNDS = Rounds()


@dataclass(frozen=True, eq=False)
class Similarity:
    """p -> scale * rotation p + shift, from the given world to the predicted world."""

    rotation: Doubles  # [3,3]
    shift: Doubles  # [3]
    scale: float


@dataclass(frozen=True, eq=False)
class _Poses:
    """Cameras in both worlds: rotations [S,3,3] and centres [S,3], camera to world."""

    wanted: Doubles  # [S,3,4], predicted
    given: Doubles  # [S,3,4]

    def of(self, views: npt.NDArray[np.intp]) -> _Poses:
        return _Poses(self.wanted[views], self.given[views])

    def off(self, found: Similarity) -> Doubles:
        """[S]: how far each given centre then is from the predicted centre of the view."""
        return np.linalg.norm(_moved(found, self.given) - self.wanted[:, :, 3], axis=1)


def aligned(predicted: FloatArray, given: FloatArray, rounds: Rounds = ROUNDS) -> Similarity:
    """The similarity transform that moves given extrinsics onto predicted extrinsics.

    With `rounds.from_views` and more, views that do not fit are left out. The scale is 1, and the
    log says so, if all cameras are at one place: then no scale is known.
    """
    poses = _Poses(_to_world(predicted), _to_world(given))
    found = _fitted(poses)
    if len(predicted) < rounds.from_views or _is_line(poses):
        return found
    return _best(poses, found, rounds)


def moved(found: Similarity, extrinsics: FloatArray) -> Doubles:
    """Extrinsics of the given world [S,3,4] -> of the predicted world [S,4,4]."""
    cameras = _to_world(extrinsics)
    placed = np.tile(np.eye(4), (len(cameras), 1, 1))
    placed[:, :3] = other_way(found.rotation @ cameras[:, :, :3], _moved(found, cameras))
    return placed


def _to_world(extrinsics: FloatArray) -> Doubles:
    doubles = extrinsics.astype(np.float64)
    return other_way(doubles[:, :, :3], doubles[:, :, 3])


def _moved(found: Similarity, cameras: Doubles) -> Doubles:
    return found.scale * cameras[:, :, 3] @ found.rotation.T + found.shift


def _best(poses: _Poses, first: Similarity, rounds: Rounds) -> Similarity:
    """The fit to those views that agree with the best of several random halves of the views."""
    views = len(poses.wanted)
    rng = np.random.default_rng(rounds.seed)
    limit = float(np.median(_nearest(poses, first)))
    best, fits, score = first, np.zeros(views, np.bool_), (-1, 0.0)
    for _ in range(rounds.count):
        drawn = rng.choice(np.arange(views), size=max(_FEWEST, (views + 1) // 2), replace=False)
        some = poses.of(drawn)
        if _is_line(some):
            continue
        found = _fitted(some)
        off = poses.off(found)
        near = off <= limit
        count = int(near.sum())
        reached = count, -float(off[near].mean()) if count else -np.inf
        if reached > score:
            best, fits, score = found, near, reached
    return _fitted(poses.of(np.flatnonzero(fits))) if fits.sum() >= _FEWEST else best


def _nearest(poses: _Poses, found: Similarity) -> Doubles:
    """[S]: how far each given centre then is from the nearest predicted centre."""
    there = _moved(found, poses.given)
    return np.linalg.norm(there[:, None] - poses.wanted[None, :, :, 3], axis=2).min(axis=1)


def _fitted(poses: _Poses) -> Similarity:
    """By least squares of all views."""
    covariance, spread = _covariance(poses)
    strength = np.linalg.svd(covariance, compute_uv=False)
    scale = 1.0
    if _is_point(poses):
        logger.warning("all cameras are at one place: depth keeps the scale of the network")
        rotation = nearest_rotation(_turned(poses))
    else:
        rotation = nearest_rotation(covariance)
        scale = float(np.trace(rotation.T @ covariance) / spread)
        if strength[1] <= _LINE * strength[0]:
            left, _, right = np.linalg.svd(covariance)
            rotation = nearest_rotation(np.outer(left[:, 0], right[0]) + _SHARE * _turned(poses))
    shift = poses.wanted[:, :, 3].mean(axis=0) - scale * rotation @ poses.given[:, :, 3].mean(
        axis=0
    )
    return Similarity(rotation, shift, scale)


def _covariance(poses: _Poses) -> tuple[Doubles, float]:
    """[3,3] of predicted and given centres, and the variance of the given centres."""
    wanted, given = (_centred(cameras[:, :, 3]) for cameras in (poses.wanted, poses.given))
    return wanted.T @ given / len(given), float((given**2).sum() / len(given))


def _centred(centres: Doubles) -> Doubles:
    return centres - centres.mean(axis=0)


def _turned(poses: _Poses) -> Doubles:
    """[3,3]: the mean of what turns the given cameras into the predicted cameras."""
    wanted, given = poses.wanted[:, :, :3], poses.given[:, :, :3]
    return (wanted @ given.transpose(0, 2, 1)).mean(axis=0)


def _is_point(poses: _Poses) -> bool:
    """Whether the predicted or the given centres are all at one place."""
    places = (cameras[:, :, 3] for cameras in (poses.wanted, poses.given))
    return any(np.abs(_centred(p)).max() <= _POINT * np.abs(p).max() for p in places)


def _is_line(poses: _Poses) -> bool:
    """Whether the predicted or the given centres are all on one line, or at one place."""
    strength = np.linalg.svd(_covariance(poses)[0], compute_uv=False)
    return bool(strength[1] <= _LINE * strength[0])
