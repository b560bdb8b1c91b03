"""Rays of known cameras."""

from __future__ import annotations

import numpy as np

from depth.maps.result import FloatArray
from depth.steps.cameras import Cameras, cameras_of_codes

SIZE = (56, 84)


def sample_cameras(views: int = 3) -> Cameras:
    """Cameras that look about, each with its own angles of view."""
    rng = np.random.default_rng(3)
    codes = rng.standard_normal((views, 9))
    codes[:, 3:6] *= 0.2
    codes[:, 6] = 1
    codes[:, 7:] = rng.uniform(0.7, 1.2, (views, 2))
    return cameras_of_codes(codes.astype(np.float32), SIZE)


def rays_of(cameras: Cameras, noise: float = 0.0) -> tuple[FloatArray, FloatArray]:
    """A ray per cell of a quarter of `SIZE`, of any length, and its confidence."""
    h, w = SIZE[0] // 4, SIZE[1] // 4
    rng = np.random.default_rng(4)
    x, y = np.meshgrid((np.arange(w) + 0.5) * 4, (np.arange(h) + 0.5) * 4)
    points = np.stack((x, y, np.ones_like(x)), axis=-1)
    rays = np.zeros((len(cameras.intrinsics), h, w, 6))
    for view, (placed, lens) in enumerate(zip(cameras.extrinsics, cameras.intrinsics)):
        rotation = placed[:, :3].T.astype(np.float64)  # camera to world
        directions = points @ np.linalg.inv(lens.astype(np.float64)).T @ rotation.T
        rays[view, ..., :3] = directions * rng.uniform(0.5, 2, (h, w, 1))
        rays[view, ..., 3:] = -rotation @ placed[:, 3]
    rays += noise * rng.standard_normal(rays.shape)
    return rays.astype(np.float32), rng.uniform(1.5, 3, rays.shape[:3]).astype(np.float32)
