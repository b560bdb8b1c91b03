"""Cameras from rays: for each view the camera through whose cells the rays pass.

Shapes: S views | g_h g_w cells of a view | M = g_h*g_w rays
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from depth.artifact.steps import CamerasFromRays
from depth.errors import InputError
from depth.maps.result import FloatArray
from depth.sizes import Size
from depth.steps.cameras import Cameras, other_way

Doubles = npt.NDArray[np.float64]
_FEWEST = 4  # points that settle a homography


DEFAULT = CamerasFromRays()


def cameras_of_rays(
    rays: FloatArray, confidence: FloatArray, size: Size, step: CamerasFromRays = DEFAULT
) -> Cameras:
    """The cameras of S views from rays [S,g_h,g_w,6] and their confidence [S,g_h,g_w].

    size  (height, width) px of the pictures

    As `get_extrinsic_from_camray` in upstream's utils/ray_utils.py. Raises InputError for a view
    whose rays agree with no camera.
    """
    views, g_h, g_w = confidence.shape
    plane = _plane(g_h, g_w)
    few = max(step.per_guess, int(step.candidates * len(plane)))
    if len(plane) < few:
        raise InputError(f"rays: {len(plane)} of a view, at least {few} are needed")
    rng = np.random.default_rng(step.seed)
    draws = np.stack([rng.permutation(few)[: step.per_guess] for _ in range(step.guesses)])
    matrices, intrinsics = [], np.zeros((views, 3, 3))
    for view in range(views):
        lines = rays[view].reshape(-1, 6).astype(np.float64)
        weights = confidence[view].reshape(-1).astype(np.float64)
        weights = np.where(np.abs(lines[:, 2]) > step.least_depth, weights, 0.0)
        rotation, lens = _split(_homography(plane, lines[:, :3], weights, draws, step, view))
        centre = (lines[:, 3:] * weights[:, None]).sum(axis=0) / weights.sum()
        matrices.append(np.column_stack((rotation, centre)))
        intrinsics[view] = _pixels(lens, size)
    placed = np.stack(matrices)
    extrinsics = other_way(placed[:, :, :3], placed[:, :, 3])
    return Cameras(extrinsics.astype(np.float32), intrinsics.astype(np.float32))


def _plane(g_h: int, g_w: int) -> Doubles:  # [M,2]
    """The centres of the cells of a picture from -1 to 1."""
    y, x = (np.linspace(-1 + 1 / cells, 1 - 1 / cells, cells) for cells in (g_h, g_w))
    return np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)


def _homography(
    plane: Doubles,
    directions: Doubles,
    weights: Doubles,
    draws: npt.NDArray[np.int64],
    step: CamerasFromRays,
    view: int,
) -> Doubles:
    """The 3x3 matrix from cells to directions, by the guess that most rays agree with."""
    depth = np.where(np.abs(directions[:, 2:]) > step.least_depth, directions[:, 2:], 1.0)
    targets = directions[:, :2] / depth
    chosen = np.argsort(-weights, kind="stable")[draws]  # [guesses,per_guess]
    guesses = _fitted(plane[chosen], targets[chosen], weights[chosen])
    agree = _agreeing(guesses, plane, targets, step.error)
    agreeing = np.flatnonzero(agree[np.argmax(agree @ weights)])
    if len(agreeing) < _FEWEST or not weights[agreeing].any():
        raise InputError(f"view {view}: its rays agree with no camera")
    if len(agreeing) > step.most:
        agreeing = agreeing[np.argsort(-weights[agreeing], kind="stable")]
        agreeing = agreeing[: max(int(len(agreeing) * step.surest), step.most)]
        agreeing = np.random.default_rng(step.seed).permutation(agreeing)[: step.most]
    (found,) = _fitted(plane[None, agreeing], targets[None, agreeing], weights[None, agreeing])
    return found


def _fitted(sources: Doubles, targets: Doubles, weights: Doubles) -> Doubles:
    """Homographies by weighted least squares: [G,P,2], [G,P,2], [G,P] -> [G,3,3]."""
    points = np.concatenate((sources, np.ones_like(sources[..., :1])), axis=2)
    zeros = np.zeros_like(points)
    rows = [
        np.concatenate((-points, zeros, points * targets[..., :1]), axis=2),
        np.concatenate((zeros, -points, points * targets[..., 1:]), axis=2),
    ]
    root = np.sqrt(weights)[..., None]
    system = np.concatenate([row * root for row in rows], axis=1)
    last = np.linalg.svd(system, full_matrices=False)[2][:, -1].reshape(-1, 3, 3)
    with np.errstate(divide="ignore", invalid="ignore"):
        return last / last[:, 2:, 2:]


def _agreeing(
    guesses: Doubles, plane: Doubles, targets: Doubles, error: float
) -> npt.NDArray[np.bool_]:  # [G,M]
    points = np.column_stack((plane, np.ones(len(plane))))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        found = points @ guesses.transpose(0, 2, 1)
        away = np.linalg.norm(found[..., :2] / found[..., 2:] - targets, axis=2)
        return away < error


def _split(homography: Doubles) -> tuple[Doubles, Doubles]:
    """A rotation times a lower triangle with a positive diagonal, the latter ending in 1."""
    if np.linalg.det(homography) < 0:
        homography = -homography
    flipped, upper = np.linalg.qr(homography[:, ::-1])
    rotation, lower = flipped[:, ::-1], upper[::-1, ::-1]
    signs = np.sign(np.diag(lower))
    rotation, lower = rotation * signs, lower * signs[:, None]
    return rotation, lower / lower[2, 2]


def _pixels(lens: Doubles, size: Size) -> Doubles:
    """Intrinsics in px, from the triangle that takes cells of -1 to 1 to directions."""
    half_h, half_w = size[0] / 2, size[1] / 2
    return np.array(
        [
            [half_w / lens[0, 0], 0, (lens[2, 0] + 1) * half_w],
            [0, half_h / lens[1, 1], (lens[2, 1] + 1) * half_h],
            [0, 0, 1],
        ]
    )
