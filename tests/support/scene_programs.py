"""Programs of scenes that are made up: nothing is compiled, and the numbers are a world's truth.

A frame is an image of one colour that says its number. The world is a wall that all frames see.
What the trunk gives of a scene is the truth in a space of its own, by `space_of` of its frames.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Callable

import numpy as np

from depth.artifact.manifest import Artifact, Manifest, Views
from depth.artifact.program import OutputFacts, Program, ProgramKey, Tensor
from depth.artifact.steps import (
    SCENE,
    CamerasFromRays,
    DecodeCameras,
    Do,
    EncodeCameras,
    OrderViews,
    Resize,
    ResizeBack,
    RestoreViews,
    RunStage,
)
from depth.maps.result import FloatArray
from depth.scenes.geometry import quaternion
from depth.sizes import Size
from depth.steps.alignment import Similarity
from serve.arrays import Arrays
from tests.support.manifests import NORMALISE, UPPER_56, made_manifest, made_program

SIZE = (28, 42)
FOV = np.array([0.6, 0.8])  # vertical and horizontal angle of view
_PORTS = {
    "prefix": ("images:B3HW", "tokens:BNC class_tokens:BC"),
    "cameras": ("codes:BS9 known:B11", "camera_tokens:BSC"),
    "trunk": ("tokens:BSNC camera_tokens:BSC", "features:BSPD codes:BS9"),
    "head": ("features:BPD", "depth:BHW confidence:BHW"),
    "head_rays": ("features:BPD", "depth:BHW confidence:BHW rays:BGI6 ray_confidence:BGI"),
    "metric": ("images:B3HW", "depth:BHW sky:BHW"),
}
OUTPUTS = (
    OutputFacts("depth", "relative_depth", None, "BHW", None, None),
    OutputFacts("confidence", "confidence", None, "BHW", None, None),
)
STEPS = (
    Do(Resize("cubic", "area", "uint8", 2)),
    Do(NORMALISE),
    RunStage("prefix"),
    Do(OrderViews("saddle_balanced"), SCENE),
    Do(EncodeCameras(), SCENE),
    RunStage("cameras", SCENE),
    RunStage("trunk", SCENE),
    Do(RestoreViews(), SCENE),
    Do(DecodeCameras(), SCENE),
    RunStage("head"),
)
BACK = Do(ResizeBack("bilinear", align_corners=True))
RAYS = (RunStage("head_rays"), Do(CamerasFromRays(), SCENE))


def program(stage: str, size: Size, batch: int = 1, views: int = 1) -> Program:
    """A program of a stage."""
    h, w = size[0] // 14, size[1] // 14
    letters = {"N": 1 + h * w, "C": 4, "P": h * w, "D": 8, "G": 8 * h, "I": 8 * w}
    inputs, outputs = (
        [Tensor(*port.split(":"), "float32") for port in ports.split()] for ports in _PORTS[stage]
    )
    made = made_program(ProgramKey(*size, batch, views, stage), inputs, outputs, letters)
    numbers = {"max_rel": 1e-5, "mean_rel": 1e-6}
    return replace(made, measured={output.name: numbers for output in OUTPUTS})


def scene_manifest(
    views: Sequence[int] = (1, 2, 4),
    sizes: Iterable[Size] = (SIZE,),
    batches: Sequence[int] = (1,),
    more: Sequence[str] = (),
    **changes: Any,
) -> Manifest:
    """A model of scenes; `more`: further stages, `head_rays` and `metric`."""
    programs = []
    for size in sizes:
        single = [s for s in ("prefix", "head", *more)]
        programs += [program(s, size, batch) for s in single for batch in batches]
        programs += [program(s, size, 1, count) for s in ("cameras", "trunk") for count in views]
    steps = [*STEPS, *(RAYS if "head_rays" in more else ())]
    steps += [RunStage("metric")] if "metric" in more else []
    fields = {
        "model": "views",
        "programs": tuple(programs),
        "steps": (*steps, BACK),
        "size": UPPER_56,
        "views": Views(min(views), max(views)),
        **changes,
    }
    return made_manifest((), outputs=OUTPUTS, **fields)


def frame(number: int, size: Size = SIZE) -> np.ndarray:
    """An image [H,W,3] RGB of a frame."""
    return np.full((*size, 3), (number % 256, number // 256, 0), np.uint8)


def pose(number: float) -> tuple[np.ndarray, np.ndarray]:
    """Rotation [3,3] and centre [3] of a frame's camera, camera to world."""
    angle = 0.002 * number
    cosine, sine = np.cos(angle), np.sin(angle)
    turn = np.array([[cosine, 0, sine], [0, 1, 0], [-sine, 0, cosine]])
    return turn, np.array([0.02 * number, 0.1 * np.sin(0.3 * number), 0.004 * number])


def true_depth(number: float, size: Size = SIZE) -> np.ndarray:
    """[H,W]: distances along the optical axis to the wall z = 6 + x / 3 + sin(y)."""
    focal = np.array(size) / 2 / np.tan(FOV / 2)
    y, x = ((np.arange(n) + 0.5 - n / 2) / f for n, f in zip(size, focal))
    turn, centre = pose(number)
    ways = np.stack([*np.meshgrid(x, y), np.ones(size)], axis=-1) @ turn.T
    depth = np.full(size, 6.0)
    for _ in range(60):
        at = centre + ways * depth[..., None]
        depth += 0.5 * (6 + at[..., 0] / 3 + np.sin(at[..., 1]) - at[..., 2])
    return depth


def same_space(_numbers: Sequence[int]) -> Similarity:
    """The space of the world."""
    return Similarity(np.eye(3), np.zeros(3), 1.0)


def own_space(numbers: Sequence[int]) -> Similarity:
    """A space of its own for every scene: other scale, rotation and place."""
    rng = np.random.default_rng(sorted(numbers))
    turn, upper = np.linalg.qr(rng.standard_normal((3, 3)))
    turn = turn * np.sign(np.linalg.det(turn))
    return Similarity(turn, rng.standard_normal(3), float(rng.uniform(0.3, 3)))


class ScenePrograms:
    """Stands in for `serve.backend.open_runtime`, and counts runs and views by stage."""

    def __init__(self, space_of: Callable[[Sequence[int]], Similarity] = same_space) -> None:
        self.space_of = space_of
        self.runs: Counter[str] = Counter()
        self.views: Counter[str] = Counter()
        self.scenes: list[tuple[int, ...]] = []  # the frames that a trunk saw together
        self.noise = 0.0  # of depth, as a share
        self.on_run: Callable[[str], object] = lambda _stage: None  # may raise
        self.rng = np.random.default_rng(0)
        self.lock = threading.Lock()

    def __call__(self, _artifact: Artifact, stages: Sequence[Program], _streams: int = 1) -> Any:
        return _Program(self, stages[0])

    def count(self, stage: str, views: int) -> None:
        with self.lock:
            self.runs[stage] += 1
            self.views[stage] += views


class _Program:
    def __init__(self, programs: ScenePrograms, made: Program) -> None:
        self._programs = programs
        self._made = made

    def run(self, arrays: Arrays) -> dict[str, FloatArray]:
        stage, wanted = self._made.stage, self._made.shapes(self._made.inputs)
        for name, shape in wanted.items():
            assert arrays[name].shape == shape, (stage, name, arrays[name].shape, shape)
        self._programs.on_run(stage)
        self._programs.count(stage, len(next(iter(arrays.values()))))
        found = getattr(self, f"_{stage}")(**{name: arrays[name] for name in wanted})
        shapes = self._made.shapes(self._made.outputs)
        return {
            name: np.broadcast_to(found[name], shapes[name]).astype(np.float32) for name in shapes
        }

    def _prefix(self, images: FloatArray) -> dict[str, Any]:
        mean, std = (np.array(v)[:, None, None] for v in (NORMALISE.mean, NORMALISE.std))
        colours = ((images * std + mean) * 255).mean(axis=(2, 3))
        tokens = np.zeros((len(images), 1, 4))
        tokens[:, 0, 0] = np.round(colours[:, 0]) + 256 * np.round(colours[:, 1])
        return {"tokens": tokens, "class_tokens": np.sin(tokens[:, 0] + [0, 1, 2, 3])}

    def _cameras(self, codes: FloatArray, known: FloatArray) -> dict[str, Any]:
        return {"camera_tokens": known * codes[..., :4]}

    def _trunk(self, tokens: FloatArray, camera_tokens: FloatArray) -> dict[str, Any]:
        features, codes = np.zeros((*tokens.shape[:2], 1, 8)), np.zeros((*tokens.shape[:2], 9))
        for scene, numbers in enumerate(tokens[:, :, 0, 0].round().astype(int)):
            self._programs.scenes.append(tuple(numbers))
            space = self._programs.space_of(list(numbers))
            features[scene, :, 0, 0], features[scene, :, 0, 1] = numbers, space.scale
            features[scene, :, 0, 2] = np.abs(camera_tokens[scene]).sum()
            for view, number in enumerate(numbers):
                turn, centre = pose(number)
                codes[scene, view, :3] = space.scale * space.rotation @ centre + space.shift
                codes[scene, view, 3:7] = np.roll(quaternion(space.rotation @ turn), -1)  # x y z w
        codes[:, :, 7:] = FOV
        return {"features": features, "codes": codes}

    def _head(self, features: FloatArray) -> dict[str, Any]:
        rows, size = features[:, 0].astype(float), self._made.size
        depth = np.stack([true_depth(row[0], size) * row[1] for row in rows])
        with self._programs.lock:
            depth *= self._programs.rng.lognormal(0, self._programs.noise, depth.shape)
        sure = 1 + np.linspace(1, 2, self._made.size[1])
        return {"depth": depth, "confidence": sure}

    def _head_rays(self, features: FloatArray) -> dict[str, Any]:
        shape = self._made.shapes(self._made.outputs)["ray_confidence"]
        y, x = (np.linspace(-1 + 1 / n, 1 - 1 / n, n) for n in shape[1:])
        ways = np.stack([*np.meshgrid(x, y), np.ones(shape[1:]), *np.zeros((3, *shape[1:]))], -1)
        return {**self._head(features), "rays": ways, "ray_confidence": np.full(shape, 2.0)}

    def _metric(self, images: FloatArray) -> dict[str, Any]:
        numbers = self._prefix(images)["tokens"][:, 0, 0]
        focal = self._made.size[1] / 2 / np.tan(FOV[1] / 2)
        focal = (focal + self._made.size[0] / 2 / np.tan(FOV[0] / 2)) / 2
        depth = [300 / focal * true_depth(number, self._made.size) for number in numbers]
        return {"depth": np.stack(depth), "sky": 0.0}
