"""Artifacts for NeuronCores, compiled with the stand-in SDK of this lane, and a machine for them.

torch 1.13.1 goes with Inf1 and torch-neuron, torch 2 with Inf2 and torch-neuronx. What serving does
with them is the same. The network is a few operators, so nothing of compile/ takes part. A test
module that imports `machine_fixture`, `chip_fixture` and `served_fixture` has the fixtures `chip`
and `served`.
"""

from __future__ import annotations

import importlib
import io
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Callable

import pytest
import torch
from torch import Tensor, nn

from depth.artifact.manifest import MANIFEST, Artifact, Gate, Manifest, dump_manifest, read_artifact
from depth.artifact.probe import answers, probe_inputs
from depth.artifact.program import Program, ProgramFile, ProgramKey
from depth.artifact.verification import (
    ProgramVerification,
    Verification,
    write_verification,
)
from depth.files import sha256_bytes
from depth.maps.result import FloatArray
from depth.sizes import Size
from serve.backend import open_on_core
from serve.runtimes.program import Chain
from tests.support.manifests import (
    DEPTH,
    FOLDED_STEPS,
    SKY,
    SKY_OUTPUTS,
    made_manifest,
    made_program,
    made_split,
)
from tests.support.neuron_machine import Machine, device
from tests.support.neuron_standin import GOOD_INF1, GOOD_INF2, IS_1_13, pretend

SIZE = (28, 42)  # (height, width) px
_WIDTH = 4  # of the features
NUMBERS = {name: {"max_rel": 0.01} for name in ("depth", "sky")}


@dataclass(frozen=True)
class Lane:
    target: str
    sdk: str
    cores: int  # of one chip
    packages: dict[str, str]
    instance: str


LANE = (
    Lane("inf1", "torch_neuron", 4, GOOD_INF1, "Inf1")
    if IS_1_13
    else Lane("inf2", "torch_neuronx", 2, GOOD_INF2, "Inf2")
)


class Encoder(nn.Module):
    """Images [B,3,H,W], 0..255, to features [B,H*W,4]."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = _seeded(nn.Conv2d(3, _WIDTH, 3, padding=1))

    def forward(self, images: Tensor) -> Tensor:
        return torch.relu(self.conv(images / 255)).flatten(2).transpose(1, 2)


class Decoder(nn.Module):
    """Features to depth [B,H,W], or also a sky [B,H,W]."""

    def __init__(self, size: Size, sky: bool = False) -> None:
        super().__init__()
        self.line, self.sky = _seeded(nn.Linear(_WIDTH, 2)), sky
        self.size = size

    def forward(self, features: Tensor) -> Any:
        both = self.line(features)
        depth, sky = (both[:, :, i].reshape(-1, *self.size) for i in range(2))
        return (depth, torch.sigmoid(sky)) if self.sky else depth


def _seeded(module: Any) -> Any:
    generator = torch.Generator().manual_seed(0)
    for parameter in module.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator)
        parameter.requires_grad_(False)
    return module


def network(size: Size = SIZE, sky: bool = False) -> nn.Module:
    return nn.Sequential(Encoder(), Decoder(size, sky)).eval()


def eager(images: FloatArray, sky: bool = False) -> dict[str, FloatArray]:
    """What the network gives in float32."""
    with torch.no_grad():
        found = network(images.shape[2:], sky)(torch.from_numpy(images))
    several = found if isinstance(found, tuple) else (found,)
    return {name: array.numpy() for name, array in zip(("depth", "sky"), several)}


def built(
    folder: Path,
    precision: str = "matmult-fp16",
    sizes: Sequence[Size] = (SIZE,),
    split: bool = False,
    sky: bool = False,
) -> Artifact:
    """An artifact of that network for this lane's target, as it is before it was verified."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NEURON_PLATFORM_TARGET_OVERRIDE", "inf2")
        folder.mkdir()
        pretend(folder, patch, LANE.packages)
        keys = [ProgramKey(*size, 1) for size in sizes]
        return _written(folder / "out", _manifest(keys, precision, split, sky), sky)


def _manifest(keys: Sequence[ProgramKey], precision: str, split: bool, sky: bool) -> Manifest:
    made = made_manifest(keys, LANE.target, precision, steps=FOLDED_STEPS)
    programs = [made_program(k, outputs=(DEPTH, SKY) if sky else (DEPTH,)) for k in keys]
    if split:
        programs = [part for k in keys for part in made_split(k, k.size[0] * k.size[1], _WIDTH)]
    programs = [replace(program, measured=None) for program in programs]
    outputs = SKY_OUTPUTS if sky else made.outputs
    limits = {output.name: {"max_rel": 0.1} for output in outputs}
    gate = Gate(limits, None)
    return replace(made, programs=tuple(programs), outputs=outputs, gate=gate)


def _written(folder: Path, manifest: Manifest, sky: bool) -> Artifact:
    """The artifact with its programs compiled."""
    folder.mkdir()
    programs = []
    for program in manifest.programs:
        data = _compiled(program, manifest.precision, sky)
        path = f"{program.name}.pt"
        (folder / path).write_bytes(data)
        files = (ProgramFile(path, sha256_bytes(data), len(data)),)
        programs.append(replace(program, files=files))
    manifest = replace(manifest, programs=tuple(programs))
    (folder / MANIFEST).write_bytes(dump_manifest(manifest))
    return read_artifact(folder)


def _compiled(program: Program, precision: str, sky: bool) -> bytes:
    stages = {
        "encoder": Encoder().eval(),
        "decoder": Decoder(program.size).eval(),
        "fused": network(program.size, sky),
    }
    (shape,) = (tensor.shape(program.shape) for tensor in program.inputs)
    traced = _trace(stages[program.stage], torch.zeros(shape), precision)
    data = io.BytesIO()
    torch.jit.save(traced, data)
    return data.getvalue()


def _trace(module: nn.Module, example: Tensor, precision: str) -> Any:
    sdk = importlib.import_module(LANE.sdk)
    if not IS_1_13:
        casts = ["--auto-cast", "matmult", "--auto-cast-type", "fp16"]
        arguments = ["--target", "inf2", *casts]
        return sdk.trace(module, example, compiler_args=arguments, cpu_backend=True)
    half = [sdk.Optimization.FLOAT32_TO_FLOAT16] if precision.endswith("-io16") else []
    return sdk.trace(
        module,
        example,
        compiler_args=["--fast-math", "fp32-cast-matmult-fp16", "no-fast-relayout"],
        single_fusion_ratio_threshold=1.0,
        fallback=False,
        optimizations=half,
    )


@pytest.fixture(name="served", scope="module")
def served_fixture(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return built(tmp_path_factory.mktemp("served") / "build")


def verified(artifact: Artifact, folder: Path) -> Artifact:
    """A copy, with the answers that its programs give on this chip."""
    copy = replace(artifact, folder=Path(shutil.copytree(artifact.folder, folder)))
    rows = []
    for program in copy.manifest.programs:
        opened = open_on_core(copy, [program], 0)
        stage = opened.stages[0] if isinstance(opened, Chain) else opened
        found = stage.run(probe_inputs(copy.manifest, program))
        rows.append(ProgramVerification(program.name, NUMBERS, answers(found)))
    made, gate = "2026-01-01T00:00:00+00:00", replace(copy.manifest.gate, passed=True)
    write_verification(copy, Verification(copy.identity, 1, made, {}, gate, tuple(rows)))
    return copy


@dataclass
class Chip:
    """One chip, with the SDK installed, and what was asked of both."""

    sdk: Any
    control: Path  # see tests/standins/neuron_base/device.py
    monkeypatch: pytest.MonkeyPatch
    placed: list[tuple[int, int]]  # first core and number of cores of every placement

    def script(self, name: str, *lines: object) -> None:
        """How the chip fails from now on: a file of the stand-in."""
        (self.control / name).write_text("".join(f"{line}\n" for line in lines))

    def events(self, what: str) -> list[str]:
        """What the chip noted: of `run` and others, the words after it."""
        lines = (self.control / "events").read_text().splitlines()
        found = (line.partition(" ") for line in lines)
        return [rest for name, _, rest in found if name == what]

    @property
    def runs(self) -> list[int]:
        """The core of each run."""
        return [int(text.split()[0]) for text in self.events("run")]

    def on_run(self, do: Callable[[], None]) -> None:
        """Before every run of a program on a core, `do`, which may raise."""
        model = importlib.import_module("neuron_base.runtime").Model
        original = model._run

        def run(*arguments: Any) -> Any:
            do()
            return original(*arguments)

        self.monkeypatch.setattr(model, "_run", run)

    def instead(self, give: Callable[[Any], Any]) -> None:
        """From now on programs give this, made of what they would have given."""
        runtime = importlib.import_module("neuron_base.runtime")
        original = runtime.computed
        self.monkeypatch.setattr(
            runtime, "computed", lambda *arguments: [give(x) for x in original(*arguments)]
        )


@pytest.fixture(name="chip")
def chip_fixture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, machine: Machine
) -> Iterator[Chip]:
    """A machine with one chip."""
    machine.says(device(0, LANE.cores))
    monkeypatch.setenv("NEURON_PLATFORM_TARGET_OVERRIDE", "inf2")
    standin = pretend(tmp_path, monkeypatch, LANE.packages)
    standin.plug_in()
    sdk = importlib.import_module(LANE.sdk)
    chip = Chip(sdk, standin.control, monkeypatch, [])
    home = sdk.experimental if IS_1_13 else sdk
    original = home.neuron_cores_context

    @contextmanager
    def placing(start_nc: int = -1, nc_count: int = -1) -> Iterator[None]:
        chip.placed.append((start_nc, nc_count))
        with original(start_nc, nc_count):
            yield

    monkeypatch.setattr(home, "neuron_cores_context", placing)
    threads = torch.get_num_threads()
    yield chip
    torch.set_num_threads(threads)
