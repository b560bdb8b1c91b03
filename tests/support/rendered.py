"""Scenes of the demo renderer with their truth in the place of predictions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from checkpoints.demo.scenes.kinds import build
from checkpoints.demo.scenes.render import View, draw, view_point
from checkpoints.demo.scenes.solids import intersect
from checkpoints.demo.scenes.world import Camera, World
from depth.scenes.scene import Scene
from tests.support.depth_samples import MADE_BY

SIZE = (60, 80)
# Right, down, forward in metres, and a turn in radians.
MOVES = ((0, 0, 0, 0), (0.25, 0.05, 0.1, -0.08), (-0.2, -0.1, 0.15, 0.06), (0.1, 0.1, -0.1, 0.02))


@dataclass(frozen=True, eq=False)
class Rendered:
    """A scene, and how the renderer made it."""

    scene: Scene
    world: World
    cameras: list[Camera]

    def truth(self, view: int) -> np.ndarray:
        """World points [H*W,3] of a view by the renderer's own rays; its world has y up."""
        rays = View.of(self.cameras[view], self.scene.size)
        x, y = np.meshgrid(rays.x, rays.y)
        slopes = np.stack([x.ravel(), y.ravel(), np.ones(x.size)], 1)
        directions = slopes @ self.cameras[view].rotation.T.astype(np.float64)
        return view_point(self.cameras[view], directions, self.scene.depth[view].ravel())

    def seen(self, view: int, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Places [N,2], px from the image's corner, and distances [N] of points with y up."""
        camera, (height, width) = self.cameras[view], self.scene.size
        at = (points - camera.position) @ camera.rotation.astype(np.float64)
        first = np.array([(width - 1) / 2, (height - 1) / 2])  # of the first pixel's centre
        return at[:, :2] / at[:, 2:] * camera.focal_px((height, width)) + first + 0.5, at[:, 2]

    def depth_at(self, view: int, places: np.ndarray) -> np.ndarray:
        """Distances [N] of what a view sees at places, px from the image's corner."""
        camera, (height, width) = self.cameras[view], self.scene.size
        x, y = ((places - [width / 2, height / 2]) / camera.focal_px((height, width))).T
        nearest = np.full(len(places), np.inf)
        for solid in self.world.solids:
            origin = solid.to_local @ (camera.position - solid.centre)
            turned = solid.to_local @ camera.rotation
            way: Any = [turned[i, 0] * x + turned[i, 1] * y + turned[i, 2] for i in range(3)]
            start: Any = tuple(np.float64(origin))
            nearest = np.minimum(nearest, intersect(solid.form, start, tuple(way)))
        return nearest


def rendered(
    seed: int = 3_000_003,
    kind: str = "room",
    moves: Sequence[tuple[float, ...]] = MOVES,
    size: tuple[int, int] = SIZE,
) -> Rendered:
    """Views of one world, seen by cameras that moved from its own."""
    rng = np.random.default_rng([seed, *kind.encode()])
    world = build(kind, rng)
    cameras = [world.camera.moved(*move) for move in moves]
    drawn = []
    for camera in cameras:
        world.camera = camera
        drawn.append(draw(world, rng, kind, size))
    inverse = np.stack([each.inverse_depth for each in drawn])
    depth = np.zeros_like(inverse)
    np.divide(1, inverse, out=depth, where=inverse > 0)
    height, width = size
    focal = cameras[0].focal_px(size)
    intrinsics = np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])
    scene = Scene(
        depth=depth,
        extrinsics=np.stack([camera.extrinsics for camera in cameras]),
        intrinsics=np.stack([intrinsics] * len(cameras)),
        names=tuple(f"{number:02d}.png" for number in range(len(cameras))),
        provenance=MADE_BY,
        unit="m",
        sky=inverse == 0,
        images=np.ascontiguousarray(np.stack([each.image for each in drawn])[..., ::-1]),
    )
    return Rendered(scene, world, cameras)


def sure(found: Rendered, seed: int = 0) -> Rendered:
    """With a random confidence, so that a part of the pixels is left out."""
    values = np.random.default_rng(seed).uniform(1, 9, found.scene.depth.shape)
    return replace(found, scene=replace(found.scene, confidence=values.astype(np.float32)))
