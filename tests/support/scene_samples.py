"""Small scenes for tests, by values that a pencil gives."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from depth.scenes.scene import Scene, Source
from depth.steps.cameras import Cameras
from depth.steps.gaussians import CHANNELS, gaussians_of
from tests.support.depth_samples import MADE_BY

S, H, W = 2, 4, 6


def small(**changes: Any) -> Scene:
    """Two views of a plane, side by side."""
    extrinsics = np.tile(np.eye(3, 4), (S, 1, 1))
    extrinsics[1, 0, 3] = 0.5
    intrinsics = np.tile([[5.0, 0, W / 2], [0, 5.0, H / 2], [0, 0, 1]], (S, 1, 1))
    depth = np.full((S, H, W), 2, np.float32)
    scene = Scene(depth, extrinsics, intrinsics, ("a.jpg", "b.jpg"), MADE_BY)
    return replace(scene, **changes)


def with_all(scene: Scene) -> Scene:
    """The scene with features of two blocks, and with Gaussians whose colours are the images'."""
    assert scene.images is not None
    rng = np.random.default_rng(0)
    cells = (len(scene), *(side // 4 for side in scene.size))
    names = ("feat_layer_1", "feat_layer_3")
    features = {name: rng.standard_normal((*cells, 5), dtype=np.float32) for name in names}
    raw = np.zeros((*scene.depth.shape, CHANNELS), np.float32)
    raw[..., 2:5], raw[..., 8] = -2.5, 1.0
    for channel in range(3):  # the first harmonic is 0.2821, and grey is at 0
        raw[..., 9 + 9 * channel] = (scene.images[..., channel] / 255 - 0.5) / 0.2821
    rows, columns = np.indices(scene.size) + 0.5
    for view, lens in enumerate(scene.intrinsics):  # depth counts along rays of length 1
        ray = np.stack([(columns - lens[0, 2]) / lens[0, 0], (rows - lens[1, 2]) / lens[1, 1]])
        raw[view, ..., -1] = scene.depth[view] * (np.sqrt(1 + (ray**2).sum(0)) - 1)
    cameras = Cameras(scene.extrinsics.astype(np.float32), scene.intrinsics.astype(np.float32))
    solid = np.full(scene.depth.shape, 0.9, np.float32)
    return replace(
        scene, features=features, gaussians=gaussians_of(raw, solid, scene.depth, cameras)
    )


def source(size: tuple[int, int] = (8, 12), **changes: Any) -> Source:
    return Source(size, lambda: np.zeros((*size, 3), np.uint8), **changes)
