"""Small scenes for tests, by values that a pencil gives."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from depth.scenes.scene import Scene, Source
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


def source(size: tuple[int, int] = (8, 12), **changes: Any) -> Source:
    return Source(size, lambda: np.zeros((*size, 3), np.uint8), **changes)
