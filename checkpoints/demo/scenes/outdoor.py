"""Scenes under the sky, and one in empty space."""

from __future__ import annotations

import numpy as np

from checkpoints.demo.scenes.solids import BALL, BOX, CYLINDER, vector
from checkpoints.demo.scenes.world import Camera, World, turn


def _view(w: World, height_m: tuple[float, float], pitch: tuple[float, float]) -> None:
    y = w.scale(*height_m)
    # From high up one looks down.
    tilt = w.between(*pitch) - 0.08 * np.log2(max(y, 1.0))
    roll = float(w.rng.normal(0, 0.05))
    w.camera = Camera.aimed((0, y, 0), w.between(-0.4, 0.4), tilt, roll, w.between(0.7, 1.45))


def _backdrop(w: World) -> None:
    """Hills, a wall or a wood that closes the horizon, or nothing."""
    choice = w.rng.random()
    paint = w.material(8.0)
    if choice < 0.4:
        for _ in range(int(w.rng.integers(2, 6))):
            far, size = w.between(40, 90), w.between(20, 60)
            high = size * w.between(0.1, 0.4)
            w.add(BALL, (w.between(-60, 60), 0, far + 10), (size, high, size), material=paint)
    elif choice < 0.75:
        far, high = w.between(15, 60), w.between(1.5, 8)
        yaw = w.between(-0.5, 0.5)
        w.box(0, 0, far, (200, high, 0.5), yaw, paint)


def _scatter(w: World, count: int, near: float, far: float, size: tuple[float, float]) -> None:
    """Things on the ground, denser near by, within the field of view."""
    for _ in range(count):
        z = w.scale(near, far)
        w.thing(w.between(-0.9, 0.9) * z, 0, z, w.scale(*size))


def plain(w: World) -> None:
    """Boxes, balls and cylinders on open ground."""
    w.daylight()
    w.ground()
    _view(w, (0.4, 4), (-0.35, 0.05))
    _backdrop(w)
    _scatter(w, int(w.rng.integers(3, 18)), 1.5, 30, (0.3, 3))


def poles(w: World) -> None:
    """Thin uprights: posts, fences, masts with a cross-beam."""
    w.daylight()
    w.ground()
    _view(w, (0.8, 3), (-0.25, 0.08))
    _backdrop(w)
    paint = w.material(1.0, 0.3)
    for _ in range(int(w.rng.integers(3, 14))):
        z = w.scale(1.5, 25)
        w.pillar(w.between(-0.7, 0.7) * z, 0, z, w.scale(0.03, 0.3), w.between(1, 8))
    if w.often(0.6):
        z, yaw, gap = w.between(3, 12), w.between(-0.7, 0.7), w.between(0.8, 2.5)
        high, along = w.between(0.8, 1.8), turn(yaw) @ vector([1, 0, 0])
        for i in range(-6, 7):
            w.box(i * gap * along[0], 0, z + i * gap * along[2], (0.1, high, 0.1), yaw, paint)
        for share in (0.45, 0.9):
            w.add(BOX, (0, high * share, z), (12 * gap, 0.08, 0.04), yaw, paint)
    if w.often(0.4):
        x, z, high = w.between(-3, 3), w.between(5, 15), w.between(3, 7)
        w.pillar(x, 0, z, 0.15, high, paint)
        w.box(x, high - 0.4, z, (w.between(1, 3), 0.1, 0.1), w.between(0, 3), paint)
    _scatter(w, int(w.rng.integers(0, 5)), 2, 15, (0.3, 1.5))


def park(w: World) -> None:
    """Trees and bushes on a meadow."""
    w.daylight()
    w.ground(4.0)
    _view(w, (0.8, 3), (-0.25, 0.12))
    _backdrop(w)
    bark, leaf = w.material(0.6), w.material(1.0, 1.0)
    for _ in range(int(w.rng.integers(3, 12))):
        z = w.scale(2.5, 40)
        x, trunk, crown = w.between(-0.8, 0.8) * z, w.between(1, 3), w.between(1.2, 4)
        w.pillar(x, 0, z, w.between(0.12, 0.5), trunk + crown / 2, bark)
        w.ball(x, trunk, z, crown, w.between(0.7, 1.6), leaf if w.often(0.7) else None)
    for _ in range(int(w.rng.integers(0, 6))):
        z, size = w.scale(1.5, 15), w.between(0.3, 1.5)
        w.ball(w.between(-0.8, 0.8) * z, -size * 0.2, z, size, w.between(0.5, 1), leaf)
    _scatter(w, int(w.rng.integers(0, 4)), 2, 15, (0.3, 1.2))


def _car(w: World, x: float, z: float, yaw: float) -> None:
    paint, glass = w.material(2.0, 0.1), w.material(1.0, 0.1)
    w.box(x, 0.25, z, (1.8, 0.6, 4.2), yaw, paint)
    w.box(x, 0.85, z, (1.6, 0.55, 2.2), yaw, glass)
    for a in (-0.85, 0.85):
        for b in (-1.3, 1.3):
            at = turn(yaw) @ vector([a, 0, b])
            lying = turn(yaw) @ turn(0, 0, np.pi / 2)
            centre = (x + float(at[0]), 0.32, z + float(at[2]))
            w.add(CYLINDER, centre, (0.64, 0.2, 0.64), rotation=lying, material=glass)


def road(w: World) -> None:
    """An open road with cars, marks and posts; no buildings."""
    w.daylight()
    w.ground(4.0)
    _view(w, (0.9, 3.5), (-0.2, 0.05))
    _backdrop(w)
    wide, yaw = w.between(5, 11), w.between(-0.25, 0.25)
    along, across = turn(yaw) @ vector([0, 0, 1]), turn(yaw) @ vector([1, 0, 0])
    w.add(BOX, (0, 0, 0), (wide, 0.02, 400), yaw, w.material(3, 0.6), shadow=False)
    mark = w.material(1, 0)
    for i in range(8):
        at = along * (2 + i * 5)
        w.add(BOX, (at[0], 0.01, at[2]), (0.15, 0.02, 2), yaw, mark, shadow=False)
    for _ in range(int(w.rng.integers(0, 6))):
        at = along * w.scale(4, 40) + across * w.between(-0.4, 0.4) * wide
        _car(w, float(at[0]), float(at[2]), yaw + float(w.rng.normal(0, 0.1)))
    gap, post, high = w.between(4, 10), w.material(0.5), w.between(0.8, 7)
    for i in range(1, 7):
        for side in (-0.6, 0.6):
            at = along * i * gap + across * side * wide
            w.pillar(float(at[0]), 0, float(at[2]), 0.15, high, post)
    _scatter(w, int(w.rng.integers(0, 5)), 4, 30, (0.5, 3))


def floating(w: World) -> None:
    """Solids in every attitude before a sky or a far wall."""
    w.daylight()
    w.camera = Camera.aimed((0, 0, 0), 0, 0, 0, w.between(0.7, 1.4))
    far = w.scale(3, 20)
    if w.often(0.75):
        tilt = turn(w.between(-0.6, 0.6), w.between(-0.6, 0.6))
        w.add(BOX, (0, 0, far), (20 * far, 20 * far, 0.1), rotation=tilt, material=w.material(2))
    for _ in range(int(w.rng.integers(3, 14))):
        z = w.scale(0.25, 0.9) * far
        size = tuple(z * w.scale(0.1, 0.5) for _ in range(3))
        attitude = turn(*w.rng.uniform(0, 6, 3))
        form = (BOX, BOX, BALL, CYLINDER)[int(w.rng.integers(4))]
        at = (w.between(-0.5, 0.5) * z, w.between(-0.4, 0.4) * z, z)
        w.add(form, at, (size[0], size[1], size[2]), rotation=attitude)


def street(w: World) -> None:
    """Two rows of buildings along a road."""
    w.daylight()
    w.ground(3.0)
    _view(w, (1.2, 3), (-0.1, 0.15))
    w.fog_per_m = min(w.fog_per_m, 0.01)
    half = w.between(4, 9)
    for side in (-1, 1):
        z = w.between(-6, 2)
        while z < 70:
            length, deep, high = w.between(5, 14), w.between(5, 10), w.between(3, 16)
            x = side * (half + deep / 2 + w.between(0, 1))
            w.box(x, 0, z + length / 2, (deep, high, length), 0, w.material(4, 1))
            z += length + (w.between(1, 4) if w.often(0.3) else 0)
    walk = w.material(1.5)
    for side in (-1, 1):
        w.box(side * (half - 0.8), 0, 30, (1.6, 0.15, 80), 0, walk)
    for _ in range(int(w.rng.integers(1, 6))):
        _car(w, w.between(-0.5, 0.5) * half, w.scale(4, 30), float(w.rng.normal(0, 0.05)))
    post = w.material(0.5, 0.2)
    for z in np.arange(w.between(3, 8), 40, w.between(7, 12)):
        for side in (-1, 1):
            w.pillar(side * (half - 1.2), 0.15, float(z), 0.14, 5, post)
    w.box(0, 0, 90, (60, w.between(5, 15), 4))
