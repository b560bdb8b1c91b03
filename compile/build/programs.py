"""The programs of one size and batch: lowered, compiled, and the saved files proven."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf
from pathlib import Path
from typing import Any, Optional, cast

import torch

from compile.build.proven import BasePrograms, Proven, Step
from compile.errors import BuildError
from compile.int8.graph import layers_of, restored
from compile.int8.images import batches
from compile.int8.layers import FLOAT_LAYERS, Quantisation, check_float_layers, is_part
from compile.int8.trials import Chooser, Judge, chooser, with_photographs
from compile.parity.chain import chained, normalise_of
from compile.parity.inputs import parity_inputs
from compile.parity.measure import measure
from compile.parts import parts
from compile.preflight.programs import network_for, preflight_all, runnable
from compile.preflight.report import PreflightReport
from compile.targets.modes import mode_named
from compile.targets.protocols import (
    Arrays,
    Compiled,
    DeviceBuilder,
    HostBuilder,
    Inputs,
    Part,
    Quantiser,
    QuantisingBuilder,
    named,
)
from compile.targets.table import quantiser
from depth.artifact.program import program_name
from depth.family import FUSED, IMAGES
from depth.maps.result import FloatArray
from depth.network.base import Network
from depth.preprocess import unnormalised
from depth.sizes import Size, ratio_text

# For demo and vits from the figures of the README; for larger networks in proportion, not measured.
_DURATIONS = ((1e7, "about 5 s"), (5e7, "about 20 s"), (2e8, "about a minute"), (inf, "minutes"))


@dataclass(frozen=True)
class CpuPrograms(BasePrograms):
    """Makes programs that run on the machine that builds them, and measures them."""

    maker: HostBuilder
    # Size and batch, and what chooses the layers of that program.
    chooser: Optional[tuple[tuple[Size, int], Chooser]] = None

    def checked(self, _on_step: Step) -> CpuPrograms:
        """As it is: a CPU runs every operator."""
        return self

    def make(self, network: Network, batch: int, on_step: Step) -> Iterator[Proven]:
        """Lower, build and measure at the network's size.

        Raises BuildError, or ParityError if the output is no depth map at all.
        """
        images = images_of(network.fixed_size, batch)
        on_step(f"compiling for {images} (once, {_duration(network)}){self._calibrated_on()}")
        programs = tuple(self._built(self.lowered(network), batch))
        on_step("checking it against the original")
        started = time.perf_counter()
        links = [
            (program.ports, self.maker.load(program.files, program.ports, self.request.precision))
            for program in programs
        ]
        run = chained(links, normalise_of(network.model, self.request.passes))
        tests = parity_inputs(network.model, network.fixed_size, self.request.photographs)
        results = measure(network, run, tests, batch)
        name = program_name(FUSED, network.fixed_size, batch)
        yield Proven(name, programs, results, time.perf_counter() - started)

    def with_layers(self, network: Network, on_step: Step) -> CpuPrograms:
        """With the layers of int8 that stay float: those of the request, or chosen at this size.

        Raises InputError for layers that the network does not have, BuildError if no layer stays
        within the limit.
        """
        quantisation = self.request.quantisation
        if quantisation is None:
            return self
        check_float_layers(network, quantisation.float_layers)
        if quantisation.float_layers:
            return self
        lowered = self.lowered(network)
        whole = parts(lowered, 1, self.request.split)
        if len(whole) > 1:  # the error of a stage alone says little
            return self._with(replace(quantisation, float_layers=FLOAT_LAYERS))
        found = chooser(
            whole[0],
            cast(QuantisingBuilder, self.maker),
            cast(Quantiser, quantiser(self.target, self.request.precision)),
            self.request.precision,
            lambda: self._calibration_inputs(lowered, 1, ()),
            self._judge(network, whole[0], quantisation),
            on_step,
        )
        chosen = replace(self, chooser=((network.fixed_size, 1), found)).with_fewer_layers()
        if chosen is None:
            raise BuildError(
                "no part of the network stays within the limit in int8; use another --precision"
            )
        return chosen

    def with_fewer_layers(self) -> Optional[CpuPrograms]:
        """With the next choice of layers, by a smaller margin; None if there is none.

        Layers that the request names stay as they are.
        """
        quantisation = self.request.quantisation
        choice = self.chooser[1].choose() if self.chooser else None
        if quantisation is None or choice is None:
            return None
        return self._with(replace(quantisation, float_layers=choice.float_layers, choice=choice))

    def _with(self, quantisation: Quantisation) -> CpuPrograms:
        return replace(self, request=replace(self.request, quantisation=quantisation))

    def _judge(self, network: Network, part: Part, quantisation: Quantisation) -> Judge:
        model, size = network.model, network.fixed_size
        normalise = normalise_of(model, self.request.passes)
        calibrated = list(quantisation.calibration.inputs(model, size))
        return Judge(
            model.outputs,
            self.target.limits[self.request.precision].of(model.outputs),
            with_photographs(parity_inputs(model, size), calibrated),
            lambda run: chained([(part.ports, run)], normalise),
        )

    def _built(self, lowered: Network, batch: int) -> Iterator[Compiled]:
        before: list[Part] = []

        def inputs() -> Sequence[dict[str, FloatArray]]:
            return self._calibration_inputs(lowered, batch, before)

        for part in parts(lowered, batch, self.request.split):
            started = time.perf_counter()
            stem = self.folder / program_name(part.stage.name, lowered.fixed_size, batch)
            files = self._written(part, stem, inputs)
            seconds = time.perf_counter() - started
            yield Compiled(part.stage, part.letters, tuple(files), seconds)
            before.append(part)

    def _written(self, part: Part, stem: Path, inputs: Inputs) -> list[Path]:
        found = quantiser(self.target, self.request.precision)
        quantisation = self.request.quantisation
        if found is None or quantisation is None:
            return self.maker.build(part, stem, self.request.precision)

        def quantised(graph: Any) -> Any:
            if self.chooser and self.chooser[0] == (
                (part.letters["H"], part.letters["W"]),
                part.batch,
            ):
                floats = quantisation.float_layers
                names = [layer.name for layer in layers_of(graph) if is_part(layer.name, floats)]
                return restored(self.chooser[1].quantised, graph, names)
            return found.quantised(graph, inputs, quantisation.float_layers)

        return cast(QuantisingBuilder, self.maker).build_quantised(part, stem, quantised)

    def _calibration_inputs(
        self, network: Network, batch: int, before: Sequence[Part]
    ) -> list[dict[str, FloatArray]]:
        """The calibration images after the stages `before`, `batch` at a time."""
        if self.request.quantisation is None:
            return []
        calibration = self.request.quantisation.calibration
        images = list(calibration.inputs(network.model, network.fixed_size))
        normalise = normalise_of(network.model, self.request.passes)
        found = []
        for group in batches(images, batch):
            arrays = {IMAGES.name: unnormalised(group, normalise) if normalise else group}
            for part in before:
                arrays = _outputs_of(part, arrays)
            found.append(arrays)
        return found

    def _calibrated_on(self) -> str:
        if self.request.quantisation is None:
            return ""
        images = self.request.quantisation.calibration
        missed = f", {images.unreadable} more could not be read" if images.unreadable else ""
        return f", calibrated on {len(images.images)} images{missed}"


@dataclass(frozen=True)
class DevicePrograms(BasePrograms):
    """Makes programs that load on their device only: checked, but not measured."""

    maker: DeviceBuilder
    reports: Mapping[str, PreflightReport] = field(default_factory=dict)  # by program

    def checked(self, on_step: Step) -> DevicePrograms:
        """With the preflight of every program. Raises PreflightError if one would not run."""
        reports = preflight_all(
            network_for(self.request.model, None),
            self.target.name,
            list(self.request.shapes()),
            self.request.passes,
            mode_named(self.target.name, self.request.precision),
            lambda text: on_step(f"checking that {self.target.name} can run it: {text}"),
        )
        return replace(self, reports=runnable(reports))

    def with_layers(self, _network: Network, _on_step: Step) -> DevicePrograms:
        """As it is: nothing is in int8."""
        return self

    def with_fewer_layers(self) -> None:
        """None: there is no other choice of layers."""

    def make(self, network: Network, batch: int, on_step: Step) -> Iterator[Proven]:
        """Lower and compile at the network's size. Raises BuildError."""
        size, images = network.fixed_size, images_of(network.fixed_size, batch)
        on_step(f"compiling for {images} on {self.target.name} (once)")
        lowered = self.lowered(network)
        programs = self.maker.build_programs(
            lambda count, split: parts(lowered, count, split),
            batch,
            self.request.split,
            lambda stage, count: self.folder / program_name(stage, size, count),
            self.request.precision,
            self.request.settings,
        )
        whole = program_name(FUSED, size, batch)
        yield Proven(whole, tuple(programs), (), preflight=self.reports[whole])


def images_of(size: Size, batch: int) -> str:
    """The images of a program, in words: "images of 4:3, 2 at a time"."""
    at_once = f", {batch} at a time" if batch > 1 else ""
    return f"images of {ratio_text(size)}{at_once}"


def _duration(network: Network) -> str:
    """How long compiling and checking take on two cores, by the number of weights."""
    count = sum(weights.numel() for weights in network.parameters())
    return next(text for largest, text in _DURATIONS if count <= largest)


def _outputs_of(part: Part, arrays: Arrays) -> dict[str, FloatArray]:
    with torch.no_grad():
        outputs = part.module(*(torch.from_numpy(arrays[name]) for name in part.ports.inputs))
    return {name: tensor.numpy() for name, tensor in named(part.ports.outputs, outputs).items()}
