"""A fixed bank of tileable grey textures: looking one up costs less than computing it."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from checkpoints.demo.scenes.solids import FloatArray

TILE_PX = 128
PLAIN = 0


def _cloud(rng: np.random.Generator, roughness: float, stretch: float = 1.0) -> FloatArray:
    """Tileable noise with a power-law spectrum, 0..1."""
    fy = np.fft.fftfreq(TILE_PX)[:, None] * stretch
    fx = np.fft.fftfreq(TILE_PX)[None, :]
    size = np.hypot(fx, fy)
    size[0, 0] = 1
    waves = rng.standard_normal((TILE_PX, TILE_PX)) + 1j * rng.standard_normal((TILE_PX, TILE_PX))
    noise = np.fft.ifft2(waves * size**-roughness).real
    noise = (noise - noise.mean()) / noise.std()
    return np.clip(0.5 + 0.22 * noise, 0, 1).astype(np.float32)


def _grid() -> tuple[FloatArray, FloatArray]:
    at = (np.arange(TILE_PX, dtype=np.float32) + 0.5) / TILE_PX
    u, v = np.meshgrid(at, at)
    return u, v


def _checks(count: int) -> FloatArray:
    u, v = _grid()
    return ((np.floor(u * count) + np.floor(v * count)) % 2).astype(np.float32)


def _stripes(count: int, duty: float, upright: bool) -> FloatArray:
    u, v = _grid()
    return ((u if upright else v) * count % 1 < duty).astype(np.float32)


def _bricks(rng: np.random.Generator, rows: int, columns: int, shift: float) -> FloatArray:
    """Courses with mortar between; a brick's tone is its own."""
    u, v = _grid()
    row = np.floor(v * rows)
    along = (u * columns + shift * (row % 2)) % columns
    tone = rng.uniform(0.4, 1, (rows, columns)).astype(np.float32)
    face = tone[row.astype(int), np.floor(along).astype(int)]
    mortar = (v * rows % 1 < 0.12) | (along % 1 < 0.12 * rows / columns / 2)
    return np.where(mortar, 0, face).astype(np.float32)


def _windows(rng: np.random.Generator, rows: int, columns: int) -> FloatArray:
    u, v = _grid()
    across, down = u * columns % 1, v * rows % 1
    tone = rng.uniform(0.6, 1, (rows, columns)).astype(np.float32)
    pane = tone[(v * rows).astype(int), (u * columns).astype(int)]
    inside = (across > 0.25) & (across < 0.75) & (down > 0.25) & (down < 0.8)
    return np.where(inside, pane, 0).astype(np.float32)


def _spots(rng: np.random.Generator, count: int, radius: float) -> FloatArray:
    u, v = _grid()
    field = np.zeros((TILE_PX, TILE_PX), np.float32)
    for x, y in rng.uniform(0, 1, (count, 2)):
        dx, dy = np.abs(u - x), np.abs(v - y)
        near = np.hypot(np.minimum(dx, 1 - dx), np.minimum(dy, 1 - dy)) < radius
        field[near] = rng.uniform(0.5, 1)
    return field


@lru_cache(maxsize=1)
def bank() -> FloatArray:
    """[K,TILE_PX,TILE_PX] float32 in 0..1; number 0 is plain. Always the same."""
    rng = np.random.default_rng(20240614)
    tiles = [np.full((TILE_PX, TILE_PX), 0.5, np.float32)]
    tiles += [_cloud(rng, roughness) for roughness in (0.3, 0.6, 0.9, 1.1, 1.3, 1.5, 1.8)]
    tiles += [_cloud(rng, 1.0, stretch) for stretch in (0.12, 8.0)]
    tiles += [_checks(count) for count in (2, 4, 8)]
    tiles += [_stripes(n, duty, up) for n, duty in ((4, 0.5), (8, 0.2)) for up in (True, False)]
    tiles += [_bricks(rng, *shape) for shape in ((8, 4, 0.5), (6, 6, 0.0), (4, 2, 0.5), (8, 1, 0))]
    tiles += [_windows(rng, *shape) for shape in ((4, 4), (3, 2))]
    tiles += [_spots(rng, count, radius) for count, radius in ((12, 0.08), (60, 0.03))]
    grain = [_cloud(rng, 0.7) for _ in tiles]
    # A little grain on all: no real surface is flat.
    mixed = [np.clip(0.85 * tile + 0.15 * noise, 0, 1) for tile, noise in zip(tiles, grain)]
    return np.stack(mixed).astype(np.float32)


def count() -> int:
    """How many textures there are."""
    return len(bank())


def look_up(texture: int, u: FloatArray, v: FloatArray) -> FloatArray:
    """Values 0..1 at coordinates in tiles; any number repeats."""
    column = (np.floor(u * TILE_PX)).astype(np.int32) & (TILE_PX - 1)
    row = (np.floor(-v * TILE_PX)).astype(np.int32) & (TILE_PX - 1)
    values: FloatArray = bank()[texture][row, column]
    return values
