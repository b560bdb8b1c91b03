"""What a scene is made of before it is drawn: solids, light, sky and a camera."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Optional

import numpy as np
import numpy.typing as npt

from checkpoints.demo.scenes import textures
from checkpoints.demo.scenes.solids import (
    BALL,
    BOX,
    CYLINDER,
    PLANE,
    ROOM,
    FloatArray,
    Material,
    Solid,
    vector,
)

_MIRROR = vector([1, -1, 1])  # of y, which runs up in the world and down in pictures


def turn(yaw: float, pitch: float = 0.0, roll: float = 0.0) -> FloatArray:
    """[3,3] rotation, radians: roll about z, then pitch about x (positive looks up), then yaw."""
    cy, sy, cp, sp, cr, sr = (f(a) for a in (yaw, pitch, roll) for f in (np.cos, np.sin))
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_x = np.array([[1, 0, 0], [0, cp, sp], [0, -sp, cp]])
    about_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return (about_y @ about_x @ about_z).astype(np.float32)


@dataclass
class Camera:
    """Pinhole camera. `rotation` takes the camera's frame (y down) to the world (y up)."""

    position: FloatArray  # [3], metres
    rotation: FloatArray  # [3,3]
    fov: float  # radians, across the longer side

    @staticmethod
    def aimed(
        position: tuple[float, float, float], yaw: float, pitch: float, roll: float, fov: float
    ) -> Camera:
        """A camera at `position` that looks along +z, turned; angles in radians."""
        return Camera(vector(position), turn(yaw, pitch, roll) * _MIRROR, fov)

    def moved(self, right: float, down: float, forward: float, yaw: float = 0.0) -> Camera:
        """The camera after a move along its own axes, metres, and a turn to the right, radians."""
        position = self.position + self.rotation @ vector([right, down, forward])
        return Camera(position, self.rotation @ turn(yaw), self.fov)

    def focal_px(self, size: tuple[int, int]) -> float:
        """Focal length for a picture of this (height, width) px."""
        return float(max(size) / 2 / np.tan(self.fov / 2))

    @property
    def extrinsics(self) -> npt.NDArray[np.float64]:
        """[3,4], world to camera, of a world whose y runs down, so that both are right-handed."""
        inverse = self.rotation.T.astype(np.float64)
        return np.hstack([inverse * _MIRROR, -(inverse @ self.position)[:, None]])


@dataclass
class World:
    """Solids and light. `rng` is the scene's only source of chance."""

    rng: np.random.Generator
    camera: Camera
    solids: list[Solid] = field(default_factory=list)
    sun: FloatArray = field(default_factory=lambda: vector([0.4, 0.8, -0.4]))  # towards it
    lamp: Optional[FloatArray] = None  # [3] a point light instead of the sun
    ambient: float = 0.4
    sky: FloatArray = field(default_factory=lambda: np.full((2, 3), 0.8, np.float32))
    clouds: float = 0.0
    fog_per_m: float = 0.0

    # -- chance

    def between(self, low: float, high: float) -> float:
        """A number between, evenly."""
        return float(self.rng.uniform(low, high))

    def scale(self, low: float, high: float) -> float:
        """A number between, evenly in its logarithm."""
        return float(np.exp(self.rng.uniform(np.log(low), np.log(high))))

    def often(self, share: float) -> bool:
        """True in this share of cases."""
        return bool(self.rng.random() < share)

    def material(self, tile_m: float = 1.0, busy: float = 0.8) -> Material:
        """Random paint; `busy` is how often it has a pattern."""
        base = self.rng.uniform(0.08, 0.95, 3) if self.often(0.5) else self.rng.uniform(0.1, 0.95)
        colours = np.empty((2, 3), np.float32)
        colours[0] = base
        other = self.rng.uniform(0.05, 1, 3)
        colours[1] = other if self.often(0.3) else np.clip(base * self.between(0.4, 1.6), 0.02, 1)
        texture = int(self.rng.integers(1, textures.count())) if self.often(busy) else 0
        return Material(colours, texture, tile_m * self.scale(0.4, 2.0), self.between(0, 0.4))

    # -- solids

    def add(
        self,
        form: str,
        centre: tuple[float, float, float],
        size: tuple[float, float, float],
        yaw: float = 0.0,
        material: Optional[Material] = None,
        rotation: Optional[FloatArray] = None,
        shadow: bool = True,
    ) -> Solid:
        """Put a form of full `size` (metres) at `centre`."""
        solid = Solid(
            form,
            vector(centre),
            turn(yaw) if rotation is None else rotation,
            np.maximum(vector(size) / 2, np.float32(1e-3)),
            material or self.material(max(size)),
            shadow and form not in (ROOM, PLANE),
        )
        self.solids.append(solid)
        return solid

    def box(self, x: float, base: float, z: float, size: tuple[float, float, float],
            yaw: float = 0.0, material: Optional[Material] = None) -> Solid:  # fmt: skip
        """A box that stands on height `base`."""
        return self.add(BOX, (x, base + size[1] / 2, z), size, yaw, material)

    def pillar(self, x: float, base: float, z: float, width: float, height: float,
               material: Optional[Material] = None) -> Solid:  # fmt: skip
        """An upright cylinder that stands on height `base`."""
        return self.add(CYLINDER, (x, base + height / 2, z), (width, height, width), 0.0, material)

    def ball(self, x: float, base: float, z: float, size: float,
             squash: float = 1.0, material: Optional[Material] = None) -> Solid:  # fmt: skip
        """A ball that rests on height `base`."""
        tall = size * squash
        return self.add(BALL, (x, base + tall / 2, z), (size, tall, size), 0.0, material)

    def ground(self, tile_m: float = 2.0) -> Solid:
        """The plane y = 0."""
        return self.add(PLANE, (0, 0, 0), (2, 2, 2), self.between(0, 3), self.material(tile_m, 0.9))

    def thing(self, x: float, base: float, z: float, size: float) -> None:
        """Something: a box, a ball, a cylinder, upright or lying, about `size` metres."""
        a, b, c = (size * self.scale(0.4, 1.6) for _ in range(3))
        choice = self.rng.random()
        if choice < 0.45:
            self.box(x, base, z, (a, b, c), self.between(0, 3))
        elif choice < 0.65:
            self.ball(x, base, z, a, self.between(0.6, 1.4))
        elif choice < 0.85:
            self.pillar(x, base, z, a, b)
        else:
            lying = turn(self.between(0, 6)) @ turn(0, 0, np.pi / 2)
            self.add(CYLINDER, (x, base + a / 2, z), (a, b * 1.5, a), rotation=lying)

    # -- light

    def daylight(self) -> None:
        """Sun, sky and haze at random."""
        away, up = self.between(0, 2 * np.pi), self.between(0.25, 1.4)
        self.sun = vector([np.cos(up) * np.cos(away), np.sin(up), np.cos(up) * np.sin(away)])
        self.ambient = self.between(0.3, 0.7)
        grey = self.often(0.35)
        top = (
            np.full(3, self.between(0.5, 1.0))
            if grey
            else self.rng.uniform((0.6, 0.4, 0.15), (1.0, 0.8, 0.5))
        )
        low = np.clip(top + self.between(-0.1, 0.5), 0, 1)
        if self.often(0.12):  # dusk
            low = np.array([0.5, 0.6, 1.0]) * self.between(0.6, 1)
        self.sky = np.stack([top, low]).astype(np.float32)
        self.clouds = self.between(0, 0.7) if self.often(0.6) else 0.0
        self.fog_per_m = self.scale(0.001, 0.05) if self.often(0.5) else 0.0005

    def lamplight(self, x: float, y: float, z: float) -> None:
        """One lamp indoors."""
        self.lamp = vector([x, y, z])
        self.ambient = self.between(0.3, 0.75)
