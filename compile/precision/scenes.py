"""What a mode costs the scenes of a model in stages: the stages round, the host work does not.

The host work between the stages is that of serving, in float32 or better.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Optional

import torch

from compile.errors import ParityError
from compile.parity.inputs import ParityInput
from compile.parity.measure import InputErrors
from compile.parity.scenes import (
    Link,
    Reference,
    SavedStages,
    measure_scenes,
    parity_scenes,
    references,
)
from compile.parts import parts
from compile.precision.casts import Casts
from compile.precision.forecast import Forecast, StageShare, Step, of_each
from compile.targets.modes import Mode
from compile.targets.protocols import Arrays, Part, named
from depth.artifact.steps import Normalise
from depth.family import Model, Output
from depth.maps.result import FloatArray
from depth.network.base import Network
from depth.sizes import Size


@dataclass(frozen=True)
class Scenes:
    views: int  # of a scene
    rays: bool = False  # also rays, and their confidence

    def outputs(self, model: Model) -> tuple[Output, ...]:
        return (*model.outputs, *(model.rays.outputs if self.rays and model.rays else ()))


@dataclass(frozen=True)
class SceneRunner:
    """The stages of a lowered network, and what the plain network says of each test scene."""

    size: Size
    stages: tuple[Part, ...]
    expected: tuple[Reference, ...]
    outputs: tuple[Output, ...]
    scenes: Scenes
    normalise: Optional[Normalise]

    @staticmethod
    def of(
        network: Network,
        lowered: Network,
        tests: Sequence[ParityInput],
        scenes: Scenes,
        normalise: Optional[Normalise],
    ) -> SceneRunner:
        """Scenes of the test images, and scenes with known cameras, at the network's size."""
        size, views = network.fixed_size, scenes.views
        expected = references(network, parity_scenes(tests, views, size), scenes.rays)
        stages = parts(lowered, 1, views=views, rays=scenes.rays)
        outputs = scenes.outputs(network.model)
        return SceneRunner(size, tuple(stages), tuple(expected), outputs, scenes, normalise)

    def forecasts(self, modes: Sequence[Mode], on_step: Step) -> list[Forecast]:
        """The errors of several modes. Raises as `measure_scenes`."""
        every = {part.stage.name for part in self.stages}
        return of_each(modes, lambda mode: self._forecast(mode, every), on_step)

    def shares(self, modes: Sequence[Mode], on_step: Step) -> tuple[StageShare, ...]:
        """For each mode, the errors if only one stage rounds."""
        found = []
        for mode in modes:
            for part in self.stages:
                name = part.stage.name
                on_step(f"{mode.target} {mode.name} in {name} alone")
                found.append(StageShare(name, self._forecast(mode, {name})))
        return tuple(found)

    def _forecast(self, mode: Mode, rounding: Collection[str]) -> Forecast:
        casts: list[Casts] = []
        links = {
            (part.stage.name, part.views): _link(part, mode, part.stage.name in rounding, casts)
            for part in self.stages
        }
        stages = SavedStages(self.size, links, 1, self.normalise)
        results: list[InputErrors] = []
        for reference in self.expected:
            scene = reference.scene.name
            try:
                results += measure_scenes(self.outputs, stages, [reference], self.scenes.rays)
            except ParityError:
                if not any(one.overflow for one in casts):
                    raise
            overflow = next((one.overflow for one in casts if one.overflow), None)
            if overflow:
                return Forecast(mode, self.outputs, (), f"{overflow}, on test scene {scene!r}")
        return Forecast(mode, self.outputs, tuple(results))


def _link(part: Part, mode: Mode, rounds: bool, casts: list[Casts]) -> Link:
    ports = part.ports
    one = Casts(part.module, mode) if rounds else None
    if one is not None:
        casts.append(one)

    def run(arrays: Arrays) -> dict[str, FloatArray]:
        given = map(torch.from_numpy, ports.given(arrays).values())
        with torch.no_grad():
            found = one.run(*given) if one is not None else part.module(*given)
        return {name: tensor.numpy() for name, tensor in named(ports.outputs, found).items()}

    return ports, run
