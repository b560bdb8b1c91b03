"""Scenes with walls around or behind them."""

from __future__ import annotations

import numpy as np

from checkpoints.demo.scenes.solids import BOX, CYLINDER, ROOM, vector
from checkpoints.demo.scenes.world import Camera, World, turn


def _view(w: World, x: float, y: float, z: float, yaw: float, pitch: tuple[float, float]) -> None:
    w.camera = Camera.aimed(
        (x, y, z), yaw, w.between(*pitch), float(w.rng.normal(0, 0.05)), w.between(0.8, 1.5)
    )


def _furniture(w: World, x: float, z: float, height: float) -> None:
    """A table, a chair, a cupboard, a sofa or just a box with something on it."""
    choice = w.rng.random()
    wide, deep, yaw = w.between(0.4, 1.6), w.between(0.4, 1.0), w.between(0, 3)
    if choice < 0.35:
        top = w.between(0.4, 0.9)
        paint = w.material(wide)
        w.box(x, top, z, (wide, 0.05, deep), yaw, paint)
        for a in (-0.45, 0.45):
            for b in (-0.45, 0.45):
                foot = turn(yaw) @ vector([a * wide, 0, b * deep])
                w.box(x + foot[0], 0, z + foot[2], (0.05, top, 0.05), yaw, paint)
        w.thing(x, top + 0.05, z, w.between(0.1, 0.4))
    elif choice < 0.55:
        w.box(x, 0, z, (wide, w.between(1.2, max(1.3, height - 0.3)), deep), yaw)
    elif choice < 0.75:
        paint = w.material(wide)
        back = turn(yaw) @ vector([0, 0, deep / 2])
        w.box(x, 0, z, (wide, 0.45, deep), yaw, paint)
        w.box(x + back[0], 0, z + back[2], (wide, 0.9, 0.12), yaw, paint)
    else:
        size = w.between(0.2, 0.9)
        w.box(x, 0, z, (wide, size, deep), yaw)
        w.thing(x, size, z, w.between(0.1, 0.5))


def _shell(w: World, wide: float, high: float, deep: float, z: float) -> None:
    """Four walls, a floor and a ceiling, the last two with a surface of their own."""
    w.add(ROOM, (0, high / 2, z), (wide, high, deep), material=w.material(2.0, 0.6))
    w.add(BOX, (0, -0.045, z), (wide, 0.1, deep), material=w.material(1.2, 0.85), shadow=False)
    w.add(BOX, (0, high + 0.045, z), (wide, 0.1, deep), material=w.material(2, 0.4), shadow=False)


def room(w: World) -> None:
    """A furnished room seen from one end."""
    wide, high, deep = w.between(2.5, 8), w.between(2.2, 3.8), w.between(3, 10)
    _shell(w, wide, high, deep, deep / 2)
    for _ in range(int(w.rng.integers(2, 9))):
        _furniture(w, w.between(-0.45, 0.45) * wide, w.between(0.2, 0.95) * deep, high)
    for _ in range(int(w.rng.integers(0, 5))):  # pictures, doors and windows
        size = (w.between(0.4, 1.6), w.between(0.4, 1.4), 0.06)
        y = w.between(0.9, high - 0.7)
        if w.often(0.5):
            w.add(BOX, (w.between(-0.4, 0.4) * wide, y, deep), size)
        else:
            side = wide / 2 if w.often(0.5) else -wide / 2
            w.add(BOX, (side, y, w.between(0.2, 0.9) * deep), size, yaw=np.pi / 2)
    w.lamplight(w.between(-0.3, 0.3) * wide, high - 0.3, w.between(0.2, 0.7) * deep)
    side = w.between(-0.35, 0.35) * wide
    yaw = -side / deep + float(w.rng.normal(0, 0.25))
    _view(w, side, w.between(0.8, min(2.2, high - 0.3)), w.between(0.1, 0.5), yaw, (-0.4, 0.1))


def corridor(w: World) -> None:
    """A long passage with doors and things along its walls."""
    wide, high, deep = w.between(1.4, 4), w.between(2.2, 4), w.between(8, 40)
    _shell(w, wide, high, deep, deep / 2)
    pitch_m = w.between(1.5, 4)
    door, lamp = w.material(1.0), w.material(0.5, 0.1)
    kind = int(w.rng.integers(3))
    for z in np.arange(pitch_m, min(deep, 10 * pitch_m), pitch_m):
        for side in (-wide / 2, wide / 2):
            if kind == 0:
                w.add(BOX, (side, 1, z), (0.12, 2, 0.9), material=door)
            elif kind == 1:
                w.add(BOX, (side, high / 2, z), (0.3, high, 0.3), material=door)
            elif w.often(0.5):
                w.thing(side * 0.75, 0, float(z), w.between(0.2, 0.6))
        if w.often(0.5):
            w.add(BOX, (0, high, z), (wide * 0.4, 0.1, 0.4), material=lamp)
    if w.often(0.5):
        w.thing(w.between(-0.3, 0.3) * wide, 0, w.between(2, 8), w.between(0.3, 1))
    w.lamplight(0, high - 0.2, w.between(0.1, 0.6) * min(deep, 12))
    side = w.between(-0.3, 0.3) * wide
    _view(w, side, w.between(0.6, high - 0.4), 0.1, float(w.rng.normal(0, 0.15)), (-0.3, 0.12))


def hall(w: World) -> None:
    """Rows of columns under a roof."""
    wide, high, deep = w.between(8, 24), w.between(3, 8), w.between(15, 45)
    _shell(w, wide, high, deep, deep / 2)
    gap_x, gap_z = w.between(2.5, 6), w.between(3, 8)
    width, paint, square = w.between(0.2, 0.9), w.material(1.0), w.often(0.4)
    shift = w.between(0, gap_x)
    for x in np.arange(-wide / 2 + shift, wide / 2, gap_x):
        for z in np.arange(w.between(1, 4), min(deep, 30), gap_z):
            if square:
                w.box(float(x), 0, float(z), (width, high, width), 0, paint)
            else:
                w.pillar(float(x), 0, float(z), width, high, paint)
    for _ in range(int(w.rng.integers(0, 6))):
        w.thing(w.between(-0.4, 0.4) * wide, 0, w.between(2, 12), w.between(0.4, 1.5))
    w.lamplight(w.between(-3, 3), high - 0.5, w.between(2, 12))
    _view(w, w.between(-2, 2), w.between(0.8, 2.4), 0.2, float(w.rng.normal(0, 0.3)), (-0.3, 0.15))


def table(w: World) -> None:
    """Things close up, on a table top, with a wall behind or not."""
    deep = w.between(0.8, 1.8)
    w.box(0, -0.1, deep / 2 + 0.3, (w.between(1.5, 4), 0.1, deep))
    for _ in range(int(w.rng.integers(4, 16))):
        w.thing(w.between(-0.8, 0.8), 0, w.between(0.4, 0.3 + deep), w.between(0.06, 0.3))
    behind = deep + w.between(0.4, 3)
    w.add(ROOM, (0, 0.3, behind / 2 - 1), (w.between(4, 7), 2.8, behind + 2))
    w.lamplight(w.between(-1.2, 1.2), w.between(0.8, 1.5), w.between(-0.3, 1))
    _view(w, w.between(-0.3, 0.3), w.between(0.2, 1.0), -0.1, w.between(-0.2, 0.2), (-0.8, -0.2))


def shelves(w: World) -> None:
    """A wall of shelves, filled, seen from in front or aslant."""
    levels, bays = int(w.rng.integers(2, 6)), int(w.rng.integers(2, 5))
    pitch_y, pitch_x, deep = w.between(0.3, 0.6), w.between(0.6, 1.2), w.between(0.25, 0.5)
    z, paint = w.between(1.3, 3.5), w.material(1.0)
    wide, high = bays * pitch_x, levels * pitch_y
    _shell(w, wide + w.between(0.5, 3), high + w.between(0.3, 1.5), 2 * z + deep, 0)
    for level in range(levels + 1):
        w.add(BOX, (0, level * pitch_y, z), (wide, 0.03, deep), material=paint)
    for bay in range(bays + 1):
        w.add(BOX, (bay * pitch_x - wide / 2, high / 2, z), (0.03, high, deep), material=paint)
    for level in range(levels):
        for bay in range(bays):
            if w.often(0.7):
                size = w.between(0.1, 0.8 * pitch_y)
                x = (bay + w.between(0.3, 0.7)) * pitch_x - wide / 2
                w.thing(x, level * pitch_y + 0.015, z, size / 1.6)
    for _ in range(int(w.rng.integers(0, 4))):
        w.thing(w.between(-0.4, 0.4) * wide, 0, w.between(0.6, 0.8) * z, w.between(0.15, 0.5))
    w.lamplight(w.between(-1, 1), high, w.between(-1, 0.3) * z)
    side = w.between(-0.4, 0.4) * wide
    y = w.between(0.3, max(0.5, high - 0.2))
    _view(w, side, y, 0, -side / z * w.between(0.2, 1.4), (-0.35, 0.15))


def stairs(w: World) -> None:
    """A flight of stairs between two walls, up or down a step at a time."""
    steps, rise, run = int(w.rng.integers(6, 16)), w.between(0.13, 0.2), w.between(0.25, 0.4)
    wide, start = w.between(1.4, 4), w.between(1.0, 3.0)
    high = steps * rise + w.between(2.2, 3)
    deep = start + steps * run + w.between(0.5, 4)
    _shell(w, wide + w.between(0, 3), high, deep + 1, deep / 2)
    paint = w.material(1.0, 0.6)
    for step in range(steps):
        length = deep - start - step * run
        w.box(0, step * rise, deep - length / 2, (wide, rise, length), 0, paint)
    if w.often(0.6):  # a rail on posts
        rail, side = w.material(1.0, 0.1), wide / 2 * (1 if w.often(0.5) else -1)
        slope = float(np.arctan2(rise, run))
        length = steps * float(np.hypot(rise, run))
        middle = (side, steps * rise / 2 + 0.9, start + steps * run / 2)
        along = turn(0, slope) @ turn(0, np.pi / 2)
        w.add(CYLINDER, middle, (0.06, length, 0.06), material=rail, rotation=along)
        for step in range(0, steps, 2):
            w.pillar(side, step * rise, start + (step + 0.5) * run, 0.04, 0.9, rail)
    w.lamplight(w.between(-0.5, 0.5), high - 0.4, w.between(0.3, 0.8) * deep)
    w_yaw = float(w.rng.normal(0, 0.15))
    _view(w, w.between(-0.3, 0.3) * wide, w.between(0.9, 1.9), 0.1, w_yaw, (-0.15, 0.3))
