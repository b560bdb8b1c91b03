"""A pan through a room, ray by ray: pictures and true depth of every frame, and a network's errors.

The camera turns and moves past a wall, a floor and balls. Colours are noise that sticks to the
surfaces, so that optical flow has something to follow.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

SIZE = (96, 128)  # (height, width) px
_FOCAL_PX = 110.0
_BALLS = ((-1.0, 0.3, 3.0, 0.7), (1.2, 0.0, 4.0, 1.0), (3.0, 0.5, 3.5, 0.5), (5.0, 0.2, 4.2, 0.8))
_TEXEL = 9.0  # texels per unit of length


@dataclass(frozen=True, eq=False)
class Shot:
    """rgb [H,W,3] uint8, depth [H,W] along the optical axis."""

    rgb: np.ndarray
    depth: np.ndarray

    @property
    def inverse(self) -> np.ndarray:
        return 1 / self.depth


@cache
def _texture(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    noise = rng.uniform(0, 255, (64, 64, 3)).astype(np.float32)
    return cv2.GaussianBlur(cv2.resize(noise, (512, 512)), (0, 0), 4)


def _colours(u: np.ndarray, v: np.ndarray, seed: int) -> np.ndarray:
    found = _texture(seed)
    places = [((a * _TEXEL * 8) % 511).astype(np.float32) for a in (u, v)]
    return cv2.remap(found, places[0], places[1], cv2.INTER_LINEAR)


def shot(at: float, scene: int = 0) -> Shot:
    """What the camera sees when it is `at` of its way, 0 to 1. Another scene: darker."""
    height, width = SIZE
    turn, x0 = 0.5 * at - 0.2, 2.0 * at
    rows, columns = np.mgrid[:height, :width]
    x, y = (columns - width / 2) / _FOCAL_PX, (rows - height / 2) / _FOCAL_PX
    dx, dy, dz = x * np.cos(turn) + np.sin(turn), y, np.cos(turn) - x * np.sin(turn)
    depth = np.full(SIZE, np.inf)
    rgb = np.zeros((*SIZE, 3))
    walls = ((6.0 / dz, 1), (1.2 / np.where(dy > 1e-6, dy, np.nan), 2))
    walls += ((-2.5 / np.where(dy < -1e-6, dy, np.nan), 3),)
    for distance, seed in walls:
        nearer = np.nan_to_num(distance, nan=np.inf, posinf=np.inf) < depth
        nearer &= distance > 0
        px, py, pz = x0 + dx * distance, dy * distance, dz * distance
        flat = (px, py) if seed == 1 else (px, pz)
        drawn = _colours(*(np.nan_to_num(a) for a in flat), 10 * scene + seed)
        depth[nearer], rgb[nearer] = distance[nearer], drawn[nearer]
    for number, (bx, by, bz, radius) in enumerate(_BALLS):
        ox, oy, oz = x0 - bx, -by, -bz
        a, b = dx * dx + dy * dy + dz * dz, dx * ox + dy * oy + dz * oz
        inside = b * b - a * (ox * ox + oy * oy + oz * oz - radius * radius)
        distance = (-b - np.sqrt(np.maximum(inside, 0))) / a
        nearer = (inside > 0) & (distance > 0.1) & (distance < depth)
        px, py, pz = ox + dx * distance, oy + dy * distance, oz + dz * distance
        u, v = np.arctan2(px, pz) * radius + 7, np.arctan2(py, np.hypot(px, pz)) * radius + 7
        drawn = _colours(u, v, 10 * scene + 4 + number)
        depth[nearer], rgb[nearer] = distance[nearer], drawn[nearer]
    return Shot((rgb / (1 + 2 * scene)).astype(np.uint8), depth)


def guessed(inverse: np.ndarray, rng: np.random.Generator, noise: float = 0.01) -> np.ndarray:
    """A network of single images: inverse depth with a scale and a shift of its own, and noise."""
    scale, shift = rng.uniform(0.5, 2), rng.uniform(-0.2, 0.5)
    grain = 1 + noise * rng.standard_normal(inverse.shape)
    return (scale * inverse * grain + shift).astype(np.float32)


def abs_rel(values: np.ndarray, inverse: np.ndarray) -> float:
    """Mean |depth error| / depth after the best scale and shift of inverse depth."""
    design = np.stack([values.ravel(), np.ones(values.size)], axis=1).astype(np.float64)
    found, *_ = np.linalg.lstsq(design, inverse.ravel(), rcond=None)
    fitted = np.maximum(design @ found, 1e-3)
    return float(np.mean(np.abs(inverse.ravel() / fitted - 1)))
