"""Do the saved stages of a model give the eager fp32 network's scenes? Each output by its measure.

The host work between the stages is the same for both: `depth/steps/views.py`. The reference's
choice of the reference view counts for both, for two views can be equally good but for rounding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import cycle, islice
from typing import Optional

import numpy as np

from compile.errors import ParityError
from compile.parity.cameras import camera_errors
from compile.parity.inputs import ParityInput
from compile.parity.measure import InputErrors, compare
from compile.targets.protocols import Arrays, Ports, Run
from depth.artifact.program import Numbers
from depth.artifact.steps import Normalise
from depth.errors import InputError
from depth.family import CAMERA, IMAGES, Output
from depth.maps.result import FloatArray
from depth.network.base import Network
from depth.network.scenes import TorchStages, in_parts
from depth.preprocess import unnormalised
from depth.sizes import Size
from depth.steps.cameras import Cameras
from depth.steps.reference_view import FIRST, Order, order_of_views, places_of_views, reference_view
from depth.steps.stages import CAMERAS, HEAD, METRIC, PREFIX, RAYS, TRUNK, Prefixes, Stages
from depth.steps.views import Rays, Views, views_after

Link = tuple[Ports, Run]
Links = Mapping[tuple[str, int], Link]  # by stage and number of views; 1 where a stage knows one
Maps = dict[str, FloatArray]  # by output
_ARC = 0.2  # radians from each known camera to the next


@dataclass(frozen=True)
class SavedStages:
    """The saved files of a model at one size, loaded: implements `depth.steps.stages.Stages`.

    batch      views of a run of prefix and head; the last run is filled up
    normalise  what the first program does itself, so that it is undone before
    """

    size: Size
    links: Links
    batch: int
    normalise: Optional[Normalise] = None

    def prefix(self, images: FloatArray) -> Prefixes:
        """As `Stages.prefix`."""
        given = unnormalised(images, self.normalise) if self.normalise else images
        found = self._in_batches(PREFIX, IMAGES.name, given)
        return Prefixes(found["tokens"], found["class_tokens"])

    def cameras(self, codes: FloatArray, known: bool) -> FloatArray:
        """As `Stages.cameras`."""
        flag = np.full((1, 1, 1), known, np.float32)
        found = self._run(CAMERAS, len(codes), {"codes": codes[None], "known": flag})
        return found["camera_tokens"][0]

    def trunk(self, tokens: FloatArray, camera_tokens: FloatArray) -> tuple[FloatArray, FloatArray]:
        """As `Stages.trunk`."""
        given = {"tokens": tokens[None], "camera_tokens": camera_tokens[None]}
        found = self._run(TRUNK, len(tokens), given)
        return found["features"][0], found["codes"][0]

    def head(self, features: FloatArray, rays: bool) -> tuple[FloatArray, ...]:
        """As `Stages.head`."""
        return tuple(self._in_batches(RAYS if rays else HEAD, "features", features).values())

    def metric(self, images: FloatArray) -> Maps:
        """Depth and sky of a second network, by the names of the result's outputs."""
        given = unnormalised(images, self.normalise) if self.normalise else images
        found = self._in_batches(METRIC, IMAGES.name, given)
        return {"metric_depth": found["depth"], "sky": found["sky"]}

    @property
    def has_metric(self) -> bool:
        return (METRIC, 1) in self.links

    def _in_batches(self, stage: str, name: str, values: FloatArray) -> dict[str, FloatArray]:
        starts = range(0, len(values), self.batch)
        filled = np.concatenate((values, np.repeat(values[-1:], -len(values) % self.batch, axis=0)))
        runs = [self._run(stage, 1, {name: filled[i : i + self.batch]}) for i in starts]
        return {
            output: np.concatenate([run[output] for run in runs])[: len(values)]
            for output in self.links[stage, 1][0].outputs
        }

    def _run(self, stage: str, views: int, arrays: Arrays) -> dict[str, FloatArray]:
        return self.links[stage, views][1](arrays)


@dataclass(frozen=True)
class ParityScene:
    """Network inputs [S,3,H,W] as one scene."""

    name: str
    images: FloatArray
    cameras: Optional[Cameras] = None  # if they are known


@dataclass(frozen=True)
class Reference:
    """What the eager network says of a scene."""

    scene: ParityScene
    views: Views
    metric: Maps  # of a second network, if the model has it


def parity_scenes(inputs: Sequence[ParityInput], views: int, size: Size) -> list[ParityScene]:
    """Scenes of `views` views in which each test image is, and one with known cameras.

    Where there are fewer images than views, mirrored ones follow.
    """
    count = len(inputs)
    mirrored = [ParityInput(f"{each.name} mirrored", each.image[..., ::-1]) for each in inputs]
    pool = list(islice(cycle((*inputs, *mirrored)), count + views))
    scenes = [_scene(pool[start : start + views]) for start in range(0, count, views)]
    first = max(count - views, 0)
    last = _scene(pool[first : first + views])
    return [*scenes, replace(last, name=f"{last.name}, known cameras", cameras=_arc(views, size))]


def references(
    network: Network, scenes: Sequence[ParityScene], rays: bool = False
) -> list[Reference]:
    """What the eager network says of each scene, at its fixed size."""
    stages = TorchStages(network.fixed_size, network.stage, network)
    has_metric = any(stage.name == METRIC for stage in network.model.split)
    found = []
    for scene in scenes:
        views = views_after(stages, stages.prefix(scene.images), scene.cameras, rays=rays)
        maps: Maps = {}
        if has_metric:
            names = ("metric_depth", "sky")
            maps = dict(zip(names, in_parts(network, network.stage(METRIC), scene.images)))
        found.append(Reference(scene, views, maps))
    return found


def measure_scenes(
    outputs: Sequence[Output],
    stages: SavedStages,
    expected: Sequence[Reference],
    rays: bool = False,
) -> list[InputErrors]:
    """The errors of stages on each scene. Raises ParityError if they are not finite numbers."""
    results = []
    for reference in expected:
        found, same = _again(stages, reference, rays)
        numbers = camera_errors(reference.scene.name, reference.views, found, same)
        metric = stages.metric(reference.scene.images) if stages.has_metric else {}
        results.append(_compared(reference, found, metric, outputs, numbers, rays))
    return results


def _again(stages: Stages, reference: Reference, rays: bool) -> tuple[Views, bool]:
    """The scene by other stages, with the reference's reference view; whether they chose it too."""
    scene, chosen = reference.scene, reference.views.reference
    try:
        prefixes = stages.prefix(scene.images)
        if not np.isfinite(prefixes.class_tokens).all():  # of two views nobody reads them
            raise InputError("class tokens are not finite")
        same = scene.cameras is not None or reference_view(prefixes.class_tokens) == chosen
        order = order_of_views(len(scene.images), chosen)
        ordered = Prefixes(prefixes.tokens[order], prefixes.class_tokens[order])
        found = views_after(stages, ordered, scene.cameras, FIRST, rays)
    except InputError as error:
        raise ParityError(f"the program gives no scene on {scene.name!r}: {error}") from error
    return _in_order(found, places_of_views(order), chosen), same


def _in_order(found: Views, places: Order, reference: int) -> Views:
    return Views(
        found.depth[places],
        found.confidence[places],
        found.extrinsics[places],
        found.intrinsics[places],
        reference,
        found.rays and Rays(found.rays.rays[places], found.rays.confidence[places]),
    )


def _compared(
    reference: Reference,
    found: Views,
    metric: Maps,
    outputs: Sequence[Output],
    cameras: Numbers,
    rays: bool,
) -> InputErrors:
    maps = [output for output in outputs if output.kind != CAMERA]
    expected = {**_arrays(reference.views, rays), **reference.metric}
    got = {**_arrays(found, rays), **metric}
    errors = compare(reference.scene.name, maps, expected, got)
    named = {output.name: cameras for output in outputs if output.kind == CAMERA}
    return replace(errors, measured={**errors.measured, **named})


def _arrays(views: Views, rays: bool) -> dict[str, FloatArray]:
    found = {"depth": views.depth, "confidence": views.confidence}
    if rays and views.rays is not None:
        found.update(rays=views.rays.rays, ray_confidence=views.rays.confidence)
    return found


def _scene(images: Sequence[ParityInput]) -> ParityScene:
    name = " + ".join(image.name for image in images)
    return ParityScene(name, np.concatenate([image.image for image in images]))


def _arc(views: int, size: Size) -> Cameras:
    """Cameras on an arc, all looking at one place."""
    angles = _ARC * np.arange(views)
    placed = np.zeros((views, 3, 4), np.float32)
    placed[:, 0, 0] = placed[:, 2, 2] = np.cos(angles)
    placed[:, 0, 2], placed[:, 2, 0] = -np.sin(angles), np.sin(angles)
    placed[:, 1, 1], placed[:, 2, 3] = 1, 2  # two units before each camera
    lens = np.zeros((views, 3, 3), np.float32)
    lens[:, 0, 0] = lens[:, 1, 1] = max(size)
    lens[:, 0, 2], lens[:, 1, 2], lens[:, 2, 2] = size[1] / 2, size[0] / 2, 1
    return Cameras(placed, lens)
