"""The programs of one size and batch: lowered, compiled, and the saved files proven."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Callable, Optional, Union

import torch
from torch import Tensor, nn

from compile.errors import PreflightError
from compile.int8.images import batches
from compile.int8.layers import Quantisation
from compile.lowering.network import OpenNetwork
from compile.lowering.passes import lower
from compile.lowering.stages import split
from compile.neuron.record import BuildRecord
from compile.parity.measure import ProbeResult, chained, measure, stem_name
from compile.parity.probes import Picture, probes
from compile.preflight.check import preflight
from compile.preflight.report import PreflightReport
from compile.targets.modes import mode_named
from compile.targets.protocols import (
    Builder,
    DeviceBuilder,
    Inputs,
    QuantisingBuilder,
    Settings,
)
from compile.targets.table import Target, quantiser
from depth.artifact.manifest import DECODER, ENCODER, FUSED
from depth.maps.depth_map import FloatArray
from depth.preprocess import NORMALISATION, unnormalised
from depth_anything_v2.network import DepthAnything

Lowered = Union[DepthAnything, OpenNetwork]
Step = Callable[[str], None]  # called with what begins now, in words


@dataclass(frozen=True)
class Compiled:
    """One program on disk, not yet part of an artifact."""

    stage: str
    batch: int
    files: tuple[Path, ...]
    build_s: float
    record: Optional[BuildRecord] = None  # of a Neuron compiler


@dataclass(frozen=True)
class Proven:
    """The programs of one size and batch, to be run one after the other."""

    programs: tuple[Compiled, ...]
    results: Sequence[ProbeResult]  # of all together; empty where only the device can tell
    parity_s: float = 0.0
    preflight: Optional[PreflightReport] = None


@dataclass(frozen=True)
class Workshop:
    """What the programs of an artifact have in common."""

    target: Target
    precision: str
    maker: Builder
    folder: Path  # that the programs are written to
    photographs: Sequence[Picture]
    apart: bool  # encoder and decoder as programs of their own
    settings: Settings  # of a Neuron compiler
    passes: tuple[str, ...]  # that lower the network
    quantisation: Optional[Quantisation] = None  # of a calibrated precision

    def make(self, network: DepthAnything, batch: int, on_step: Step) -> Proven:
        """Lower, compile and measure at the network's size.

        Raises PreflightError, BuildError, or ParityError if the output is no depth map at all.
        """
        name = stem_name(network.size, batch)
        if not self.target.device:
            on_step(f"{name}: build for {self.target.name}{self._calibrated_on()}")
            compiled = tuple(self._on_cpu(self._lowered(network), network.size, batch))
            on_step(f"{name}: parity of the saved program with the eager network")
            return self._measured(network, compiled, batch)
        on_step(f"{name}: preflight")
        report = self._preflight(network, batch)
        on_step(f"{name}: compile for {self.target.name}")
        return Proven(tuple(self._for_device(network, batch)), (), preflight=report)

    def _lowered(self, network: DepthAnything) -> Lowered:
        return lower(network, self.passes) if self.passes else network

    def _on_cpu(self, lowered: Lowered, size: tuple[int, int], batch: int) -> Iterator[Compiled]:
        example = torch.zeros(batch, 3, *size)
        stages: list[tuple[str, nn.Module]] = [(FUSED, lowered)]
        if self.apart:
            stages = list(zip((ENCODER, DECODER), split(lowered)))
        inputs = partial(self._calibration_inputs, size, batch)
        for stage, module in stages:
            started = time.perf_counter()
            stem = self.folder / stem_name(size, batch, stage)
            files = self._written(module, example, stem, inputs)
            yield Compiled(stage, batch, tuple(files), time.perf_counter() - started)
            if stage == ENCODER:
                with torch.no_grad():
                    example = module(example)
                inputs = partial(_through, module, inputs)

    def _written(
        self, module: nn.Module, example: Tensor, stem: Path, inputs: Inputs
    ) -> list[Path]:
        found = quantiser(self.target, self.precision)
        if found is None or self.quantisation is None:
            return self.maker.build(module, example, stem, self.precision)
        if not isinstance(self.maker, QuantisingBuilder):
            raise TypeError(f"target {self.target.name} has no build_quantised")
        change = partial(
            found.quantised, inputs=inputs, float_layers=self.quantisation.float_layers
        )
        return self.maker.build_quantised(module, example, stem, change)

    def _calibration_inputs(self, size: tuple[int, int], batch: int) -> list[FloatArray]:
        """As the programs get them, `batch` at a time."""
        if self.quantisation is None:
            return []
        images = list(self.quantisation.calibration.inputs(size))
        folded = NORMALISATION in self.passes
        return [unnormalised(one) if folded else one for one in batches(images, batch)]

    def _calibrated_on(self) -> str:
        if self.quantisation is None:
            return ""
        images = self.quantisation.calibration
        missed = f", {images.unreadable} more could not be read" if images.unreadable else ""
        return f", calibrated on {len(images.images)} images{missed}"

    def _for_device(self, network: DepthAnything, batch: int) -> Iterator[Compiled]:
        maker = self.maker
        if not isinstance(maker, DeviceBuilder):
            raise TypeError(f"target {self.target.name} has no build_programs")
        size = network.size
        built = maker.build_programs(
            self._lowered(network),
            torch.zeros(batch, 3, *size),
            lambda stage, count: self.folder / stem_name(size, count, stage),
            self.precision,
            self.apart,
            self.settings,
        )
        for one in built:
            yield Compiled(one.stage, one.batch, one.files, one.record.build_s, one.record)

    def _preflight(self, network: DepthAnything, batch: int) -> PreflightReport:
        example = torch.zeros(batch, 3, *network.size)
        mode = mode_named(self.target.name, self.precision)
        report = preflight(network, example, self.target.name, self.passes, mode)
        if not report.passed:
            raise PreflightError(f"{report.program}: {'; '.join(report.problems())}")
        return report

    def _measured(
        self, network: DepthAnything, compiled: tuple[Compiled, ...], batch: int
    ) -> Proven:
        started = time.perf_counter()
        runs = [self.maker.load(list(one.files), self.precision) for one in compiled]
        run = chained(runs, self.passes)
        results = measure(network, run, probes(network.size, self.photographs), batch)
        return Proven(compiled, results, time.perf_counter() - started)


def _through(module: nn.Module, inputs: Inputs) -> list[FloatArray]:
    """What a stage makes of its inputs: those of the next."""
    with torch.no_grad():
        return [module(torch.from_numpy(one)).numpy() for one in inputs()]
