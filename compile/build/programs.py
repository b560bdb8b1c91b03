"""The programs of one size and batch: lowered, compiled, and the saved files proven."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Callable, Optional, cast

import torch
from torch import nn

from compile.errors import PreflightError
from compile.int8.images import batches
from compile.int8.layers import Quantisation
from compile.lowering.passes import lower
from compile.parity.chain import chained, normalise_of
from compile.parity.measure import ProbeResult, measure
from compile.parity.probes import Picture, probes
from compile.parts import parts
from compile.preflight.check import preflight
from compile.preflight.report import PreflightReport
from compile.targets.modes import mode_named
from compile.targets.protocols import (
    Builder,
    Compiled,
    DeviceBuilder,
    HostBuilder,
    Inputs,
    Part,
    QuantisingBuilder,
    Settings,
    named,
)
from compile.targets.table import Target, quantiser
from depth.artifact.program import program_name
from depth.family import IMAGES
from depth.maps.result import FloatArray
from depth.network.base import Network
from depth.preprocess import unnormalised
from depth.sizes import Size

Step = Callable[[str], None]  # called with what begins now, in words


@dataclass(frozen=True)
class Proven:
    """The programs of one size and batch, to be run one after the other."""

    programs: tuple[Compiled, ...]
    results: Sequence[ProbeResult]  # of all together; empty where only the device can tell
    parity_s: float = 0.0
    preflight: Optional[PreflightReport] = None


@dataclass(frozen=True)
class ProgramBuilder:
    """What the programs of an artifact have in common."""

    target: Target
    precision: str
    maker: Builder
    folder: Path  # that the programs are written to
    photographs: Sequence[Picture]
    apart: bool  # the stages of the network as programs of their own
    settings: Settings  # of a Neuron compiler
    passes: tuple[str, ...]  # that lower the network
    quantisation: Optional[Quantisation] = None  # of precision int8

    def make(self, network: Network, batch: int, on_step: Step) -> Proven:
        """Lower, compile and measure at the network's size.

        Raises PreflightError, BuildError, or ParityError if the output is no depth map at all.
        """
        size = network.fixed_size
        name = program_name("fused", size, batch)
        if not self.target.device:
            on_step(f"{name}: build for {self.target.name}{self._calibrated_on()}")
            compiled = tuple(self._on_host(self._lowered(network), batch))
            on_step(f"{name}: parity of the saved program with the eager network")
            return self._measured(network, compiled, batch)
        on_step(f"{name}: preflight")
        lowered = self._lowered(network)
        report = self._preflight(network, lowered, batch)
        on_step(f"{name}: compile for {self.target.name}")
        programs = tuple(self._for_device(lowered, size, batch))
        return Proven(programs, (), preflight=report)

    def _lowered(self, network: Network) -> Network:
        return lower(network, self.passes) if self.passes else network

    def _on_host(self, lowered: Network, batch: int) -> Iterator[Compiled]:
        size = lowered.fixed_size
        inputs: Inputs = partial(self._calibration_inputs, lowered, batch)
        for part in parts(lowered, batch, self.apart):
            started = time.perf_counter()
            stem = self.folder / program_name(part.stage.name, size, batch)
            files = self._written(part, stem, inputs)
            seconds = time.perf_counter() - started
            yield Compiled(part.stage, part.letters, tuple(files), seconds)
            inputs = partial(_through, part, inputs)

    def _written(self, part: Part, stem: Path, inputs: Inputs) -> list[Path]:
        found = quantiser(self.target, self.precision)
        if found is None or self.quantisation is None:
            return cast(HostBuilder, self.maker).build(part, stem, self.precision)
        change = partial(
            found.quantised, inputs=inputs, float_layers=self.quantisation.float_layers
        )
        return cast(QuantisingBuilder, self.maker).build_quantised(part, stem, change)

    def _calibration_inputs(self, network: Network, batch: int) -> list[dict[str, FloatArray]]:
        """As the programs get them, `batch` at a time."""
        if self.quantisation is None:
            return []
        images = list(self.quantisation.calibration.inputs(network.model, network.fixed_size))
        normalise = normalise_of(network.model, self.passes)
        return [
            {IMAGES.name: unnormalised(group, normalise) if normalise else group}
            for group in batches(images, batch)
        ]

    def _calibrated_on(self) -> str:
        if self.quantisation is None:
            return ""
        images = self.quantisation.calibration
        missed = f", {images.unreadable} more could not be read" if images.unreadable else ""
        return f", calibrated on {len(images.images)} images{missed}"

    def _for_device(self, lowered: Network, size: Size, batch: int) -> Sequence[Compiled]:
        return cast(DeviceBuilder, self.maker).build_programs(
            lambda count, apart: parts(lowered, count, apart),
            batch,
            self.apart,
            lambda stage, count: self.folder / program_name(stage, size, count),
            self.precision,
            self.settings,
        )

    def _preflight(self, network: Network, lowered: Network, batch: int) -> PreflightReport:
        example = torch.zeros(batch, 3, *network.fixed_size)
        mode = mode_named(self.target.name, self.precision)
        report = preflight(network, example, self.target.name, self.passes, mode, lowered)
        if not report.passed:
            raise PreflightError(f"{report.program}: {'; '.join(report.problems())}")
        return report

    def _measured(self, network: Network, compiled: Sequence[Compiled], batch: int) -> Proven:
        started = time.perf_counter()
        links = [
            (program.ports, self.maker.load(list(program.files), program.ports, self.precision))
            for program in compiled
        ]
        run = chained(links, normalise_of(network.model, self.passes))
        tests = probes(network.model, network.fixed_size, self.photographs)
        results = measure(network, run, tests, batch)
        return Proven(tuple(compiled), results, time.perf_counter() - started)


def _through(part: Part, inputs: Inputs) -> list[dict[str, FloatArray]]:
    """What a stage makes of its inputs: those of the next."""
    return [_answered(part, arrays) for arrays in inputs()]


def _answered(part: Part, arrays: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
    module: nn.Module = part.module
    with torch.no_grad():
        found = module(*(torch.from_numpy(arrays[name]) for name in part.ports.inputs))
    return {name: tensor.numpy() for name, tensor in named(part.ports.outputs, found).items()}
