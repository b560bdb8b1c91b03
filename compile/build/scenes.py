"""The programs of a model of scenes at one size, and the saved files proven on scenes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from compile.build.proven import BasePrograms, Proven, Step
from compile.parity.chain import normalise_of
from compile.parity.scenes import Link
from compile.parity.together import Member, measure_together, together
from compile.parts import parts
from compile.targets.protocols import Compiled, HostBuilder, Part
from depth.artifact.program import program_name
from depth.network.base import Network
from depth.sizes import Size


@dataclass(frozen=True)
class ScenePrograms(BasePrograms):
    """Makes programs that run on the machine that builds them, and measures them on scenes.

    A stage that knows one view has a program per batch. A stage that knows all views of a scene has
    a program per number of views.
    """

    maker: HostBuilder

    def shapes(self) -> Iterator[tuple[Size, int]]:
        """Each size once: all batches and numbers of views are measured together."""
        return ((size, self.request.batches[0]) for size in dict.fromkeys(self.request.sizes))

    def checked(self, _on_step: Step) -> ScenePrograms:
        """As it is: a CPU runs every operator."""
        return self

    def with_layers(self, _network: Network, _on_step: Step) -> ScenePrograms:
        """As it is: nothing is in int8."""
        return self

    def with_fewer_layers(self) -> None:
        """None: there is no other choice of layers."""

    def make(self, network: Network, _batch: int, on_step: Step) -> Iterator[Proven]:
        """Lower, build and measure at the network's size. Raises BuildError or ParityError."""
        size = network.fixed_size
        made: list[Compiled] = []
        for part in self._parts(self.lowered(network)):
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

    def _parts(self, lowered: Network) -> Iterator[Part]:
        """Each stage once per batch or number of views that it knows."""
        known = set()
        for batch in dict.fromkeys(self.request.batches):
            for views in self.request.scene_views:
                for part in parts(lowered, batch, views=views, rays=self.request.rays):
                    key = part.stage.name, part.batch, part.views
                    if key not in known:
                        known.add(key)
                        yield part

    def _built(self, part: Part, stem: Path) -> Compiled:
        started = time.perf_counter()
        files = self.maker.build(part, stem, self.request.precision)
        return Compiled(part.stage, part.letters, tuple(files), time.perf_counter() - started)

    def _link(self, compiled: Compiled) -> Link:
        ports = compiled.ports
        return ports, self.maker.load(compiled.files, ports, self.request.precision)


def _at_once(part: Part) -> str:
    if part.stage.of_scenes:
        return "scenes of 1 view" if part.views == 1 else f"scenes of {part.views} views"
    return "1 view" if part.batch == 1 else f"{part.batch} views at a time"
