"""Artifacts for NeuronCores, built with the stand-in SDK of this lane, and a machine to serve them.

torch 1.13.1 goes with Inf1 and torch-neuron, torch 2 with Inf2 and torch-neuronx. What serving does
with them is the same. A test module that imports `machine_fixture`, `chip_fixture` and
`served_fixture` has the fixtures `chip` and `served`.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Callable

import pytest
import torch
from torch import nn

from compile.build.build import build
from compile.build.request import Request
from compile.lowering.passes import lower
from compile.targets.table import NEURON_PASSES
from compile.untrained import untrained_checkpoint
from depth.artifact.manifest import Artifact, read_artifact
from depth.maps.result import FloatArray
from depth_anything_v2.config import Model
from tests.networks import TINY, network
from tests.neuron_machine import Machine, device
from tests.neuron_standin import GOOD_INF1, IS_1_13, pretend
from tests.neuronx_standin import GOOD_INF2

MODEL = Model(TINY.name, TINY)
SIZE = (28, 42)  # (height, width) px


@dataclass(frozen=True)
class Lane:
    target: str
    sdk: str
    module: str  # of serve/
    cores: int  # of one chip
    packages: dict[str, str]
    instance: str
    elsewhere: str


LANE = (
    Lane("inf1", "torch_neuron", "serve.runtimes.neuron", 4, GOOD_INF1, "Inf1", "wrong numbers")
    if IS_1_13
    else Lane("inf2", "torch_neuronx", "serve.runtimes.neuronx", 2, GOOD_INF2, "Inf2", "do not run")
)


def runtime_module() -> Any:
    return importlib.import_module(LANE.module)


def built(folder: Path, precision: str = "matmult-fp16", **changes: Any) -> Artifact:
    """An artifact of the tiny network with fixed-seed weights, for this lane's target."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NEURON_PLATFORM_TARGET_OVERRIDE", "inf2")
        folder.mkdir()
        standin = pretend(folder, patch, LANE.packages)
        request = Request(
            MODEL,
            untrained_checkpoint(MODEL),
            LANE.target,
            precision,
            [SIZE],
            settings=standin.settings,
        )
        return read_artifact(build(replace(request, **changes), folder / "out"))


def eager(images: FloatArray) -> FloatArray:
    """What the lowered network gives in float32."""
    with torch.no_grad():
        depth: FloatArray = _lowered()(torch.from_numpy(images)).numpy()
    return depth


@functools.cache
def _lowered() -> nn.Module:
    return lower(network(TINY, SIZE), NEURON_PASSES)


@pytest.fixture(name="served", scope="module")
def served_fixture(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return built(tmp_path_factory.mktemp("served") / "build")


@dataclass
class Chip:
    """One chip, with the SDK installed, and what was asked of both."""

    sdk: Any
    monkeypatch: pytest.MonkeyPatch
    placed: list[tuple[int, int]]  # first core and number of cores of every placement
    runs: list[int]  # the core that a program ran on first, or -1 after it was loaded

    def on_run(self, do: Callable[[], None]) -> None:
        """Before every run of a program on a core, `do`, which may raise."""
        runtime = importlib.import_module(f"{LANE.sdk}.runtime")
        original = runtime._run

        def run(*arguments: Any) -> Any:
            do()
            return original(*arguments)

        self.monkeypatch.setattr(runtime, "_run", run)

    def instead(self, give: Callable[[Any], Any]) -> None:
        """From now on programs give this, made of what they would have given."""
        runtime = importlib.import_module(f"{LANE.sdk}.runtime")
        original = runtime._run
        self.monkeypatch.setattr(
            runtime, "_run", lambda *arguments: [give(x) for x in original(*arguments)]
        )


@pytest.fixture(name="chip")
def chip_fixture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, machine: Machine) -> Chip:
    """A machine with one chip."""
    machine.says(device(0, LANE.cores))
    monkeypatch.setenv("NEURON_PLATFORM_TARGET_OVERRIDE", "inf2")
    pretend(tmp_path, monkeypatch, LANE.packages).plug_in()
    sdk = importlib.import_module(LANE.sdk)
    chip = Chip(sdk, monkeypatch, [], [])
    home = sdk.experimental if IS_1_13 else sdk
    original = home.neuron_cores_context
    inside = [-1]

    @contextmanager
    def placing(start_nc: int = -1, nc_count: int = -1) -> Iterator[None]:
        chip.placed.append((start_nc, nc_count))
        inside[0] = start_nc
        with original(start_nc, nc_count):
            yield
        inside[0] = -1

    monkeypatch.setattr(home, "neuron_cores_context", placing)
    chip.on_run(lambda: chip.runs.append(inside[0]))
    return chip
