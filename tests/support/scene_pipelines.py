"""Pipelines of scenes over programs that are made up, and the truth of their frames."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from depth.artifact.manifest import Artifact
from depth.scenes.scene import Scene
from depth.sizes import Size
from depth.steps.cameras import Cameras, other_way
from serve.scenes.pipeline import SceneAsked, ScenePipeline
from tests.support.manifests import made_artifact
from tests.support.scene_programs import (
    FOV,
    SIZE,
    frame,
    pose,
    scene_manifest,
    true_depth,
)

WAIT_S = 20.0
SMALL = SceneAsked(process_res=42)


@contextmanager
def pipeline(
    views: tuple[int, ...] = (1, 2, 4), batches: tuple[int, ...] = (1,), **options: Any
) -> Iterator[ScenePipeline]:
    manifest = {k: options.pop(k) for k in ("more", "sizes", "steps") if k in options}

    def build(_size: Size, _views: int, _rays: bool) -> list[Artifact]:
        return [made_artifact(scene_manifest(views, batches=batches, **manifest))]

    options.setdefault("size_rule", scene_manifest().size)
    options["sizes"] = manifest.get("sizes", (SIZE,))
    with ScenePipeline(build, **options) as made:
        yield made


def frames(*numbers: int) -> list[np.ndarray]:
    return [frame(number) for number in numbers]


def is_truth(scene: Scene, *numbers: int) -> bool:
    """Whether depth and cameras are those of the frames, in the space of the world."""
    expected = np.stack([true_depth(number) for number in numbers])
    cameras = np.linalg.inv(np.concatenate((scene.extrinsics, [[[0, 0, 0, 1]]] * len(scene)), 1))
    centres = np.stack([pose(number)[1] for number in numbers])
    return np.allclose(scene.depth, expected, rtol=1e-4) and np.allclose(
        cameras[:, :3, 3], centres, atol=1e-4
    )


def truth_cameras(*numbers: int) -> Cameras:
    turns, centres = zip(*map(pose, numbers))
    lens = np.eye(3)
    lens[0, 0], lens[1, 1] = SIZE[1] / 2 / np.tan(FOV[1] / 2), SIZE[0] / 2 / np.tan(FOV[0] / 2)
    lens[:2, 2] = SIZE[1] / 2, SIZE[0] / 2
    return Cameras(other_way(np.stack(turns), np.stack(centres)), np.stack([lens] * len(numbers)))
