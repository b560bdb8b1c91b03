"""The programs of a model of scenes at one size, and the saved files proven on scenes."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from compile.build.proven import BasePrograms, Proven, Step
from compile.parity.chain import normalise_of
from compile.parity.scenes import Link
from compile.parity.together import Member, measure_together, together
from compile.parts import parts, scene_parts
from compile.preflight.programs import network_for, runnable, scene_reports
from compile.preflight.report import PreflightReport
from compile.preflight.scenes import SceneShapes
from compile.targets.modes import mode_named
from compile.targets.protocols import Compiled, DeviceBuilder, HostBuilder, Part
from depth.artifact.program import program_name
from depth.network.base import Network
from depth.sizes import Size

Own = TypeVar("Own", bound="_Stages")


@dataclass(frozen=True)
class _Stages(BasePrograms):
    """A stage that knows one view has a program per batch. A stage that knows all views of a scene
    has a program per number of views.
    """

    def shapes(self) -> Iterator[tuple[Size, int]]:
        """Each size once: all batches and numbers of views are measured together."""
        return ((size, self.request.batches[0]) for size in dict.fromkeys(self.request.sizes))

    def with_layers(self: Own, _network: Network, _on_step: Step) -> Own:
        """As it is: nothing is in int8."""
        return self

    def with_fewer_layers(self) -> None:
        """None: there is no other choice of layers."""

    def parts(self, lowered: Network) -> list[Part]:
        """The stages of the lowered network, each for its batches or its numbers of views."""
        request = self.request
        return scene_parts(lowered, request.batches, request.scene_views, request.rays)


@dataclass(frozen=True)
class ScenePrograms(_Stages):
    """Makes programs that run on the machine that builds them, and measures them on scenes."""

    maker: HostBuilder

    def checked(self, _on_step: Step) -> ScenePrograms:
        """As it is: a CPU runs every operator."""
        return self

    def make(self, network: Network, _batch: int, on_step: Step) -> Iterator[Proven]:
        """Lower, build and measure at the network's size. Raises BuildError or ParityError."""
        size = network.fixed_size
        made: list[Compiled] = []
        for part in self.parts(self.lowered(network)):
            stem = self.folder / program_name(part.stage.name, size, part.batch, part.views)
            on_step(f"compiling {part.stage.name} for {_at_once(part)}")
            made.append(self._built(part, stem))
        on_step("checking scenes against the original")
        started = time.perf_counter()
        members = [Member.of(one, self._link(one)) for one in made]
        normalise = normalise_of(network.model, self.request.passes)
        pictures = self.request.photographs
        errors = measure_together(network, members, self.request.outputs, pictures, normalise)
        seconds = time.perf_counter() - started
        for places, results in together(members, errors):
            name = members[places[0]].key(size).name
            yield Proven(name, tuple(made[i] for i in places), results, seconds)

    def _built(self, part: Part, stem: Path) -> Compiled:
        started = time.perf_counter()
        files = self.maker.build(part, stem, self.request.precision)
        return Compiled(part.stage, part.letters, tuple(files), time.perf_counter() - started)

    def _link(self, compiled: Compiled) -> Link:
        ports = compiled.ports
        return ports, self.maker.load(compiled.files, ports, self.request.precision)


@dataclass(frozen=True)
class DeviceScenePrograms(_Stages):
    """Makes programs that load on their device only: checked, but not measured."""

    maker: DeviceBuilder
    reports: Mapping[str, PreflightReport] = field(default_factory=dict)  # by program

    def checked(self, on_step: Step) -> DeviceScenePrograms:
        """With the preflight of every program. Raises PreflightError if one would not run."""
        request, target = self.request, self.target.name
        reports, _ = scene_reports(
            network_for(request.model, None),
            target,
            [size for size, _ in self.shapes()],
            SceneShapes(tuple(request.batches), request.scene_views, request.rays),
            request.passes,
            mode_named(target, request.precision),
            lambda text: on_step(f"checking that {target} can run it: {text}"),
        )
        return replace(self, reports=runnable(reports))

    def make(self, network: Network, _batch: int, on_step: Step) -> Iterator[Proven]:
        """Lower and compile at the network's size. Raises BuildError.

        Every stage has fallbacks of its own. Half the batch is a fallback of a stage that knows one
        view. A scene stays whole: no stage gets fewer views than it was asked for.
        """
        size, lowered = network.fixed_size, self.lowered(network)
        for part in self.parts(lowered):
            on_step(f"compiling {part.stage.name} for {_at_once(part)} (once)")
            name = program_name(part.stage.name, size, part.batch, part.views)
            programs = tuple(self._compiled(lowered, part))
            yield Proven(name, programs, (), preflight=self.reports[name])

    def _compiled(self, lowered: Network, part: Part) -> list[Compiled]:
        """One stage, or the same for a smaller batch."""

        def stage(batch: int, _split: bool) -> list[Part]:
            return [part if batch == part.batch else _of_batch(lowered, part, batch)]

        def path(name: str, batch: int) -> Path:
            return self.folder / program_name(name, lowered.fixed_size, batch, part.views)

        request = self.request
        return self.maker.build_programs(
            stage, part.batch, True, path, request.precision, request.settings
        )


def _of_batch(lowered: Network, part: Part, batch: int) -> Part:
    """The same stage for another number of images at a time."""
    found = parts(lowered, batch, views=part.views, rays=True)
    return next(other for other in found if other.stage.name == part.stage.name)


def _at_once(part: Part) -> str:
    if part.stage.of_scenes:
        return "scenes of 1 view" if part.views == 1 else f"scenes of {part.views} views"
    return "1 view" if part.batch == 1 else f"{part.batch} views at a time"
