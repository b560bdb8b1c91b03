"""Both device targets for one suite: what differs between them is a record.

A test module that imports `target_fixture` has the fixture `target`: each target in turn, with the
stand-in of its SDK. Every environment has a torch for one of the SDKs, and skips the other target.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Optional

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from compile.neuron import inf1, inf2
from compile.neuron.builder import NeuronBuilder
from compile.neuron.record import BuildRecord
from compile.parts import parts
from compile.targets.protocols import Compiled
from depth.maps.result import FloatArray
from depth.network.base import Network
from tests.support.neuron_standin import (
    GOOD_INF1,
    GOOD_INF2,
    PLATFORM,
    Standin,
    example,
    needs_torch_1_13,
    needs_torch_2,
    part,
    pretend,
)

PRECISION = "matmult-fp16"  # both have it


@dataclass(frozen=True)
class Facts:
    """What is different about a device target."""

    builder: NeuronBuilder
    sdk: str  # its module
    cores: int  # of one chip
    needs: pytest.MarkDecorator
    packages: dict[str, str]  # on a machine that can compile for it
    versions: tuple[str, ...]  # the packages that a program's numbers depend on
    newer: dict[str, str]  # a later compiler
    arguments: tuple[str, ...]  # of the compiler, for `PRECISION`
    log: str  # the file that the compiler is asked to log to; "": it chooses itself
    log_numbers: tuple[Optional[float], ...]  # percent on the chip, sub-graphs, compiled ones
    left: set[str]  # in the work folder
    other_precision: str
    other_flags: tuple[str, ...]  # for that precision
    easier: tuple[str, ...]  # the tries for a network without stages, after "as asked"
    no_device: str  # pattern of the message when a program is loaded without a chip


FACTS = {
    "inf1": Facts(
        inf1.BUILDER,
        "torch_neuron",
        4,
        needs_torch_1_13,
        GOOD_INF1,
        ("torch", "torch-neuron", "neuron-cc"),
        {"neuron-cc": "1.25.0.0"},
        ("--fast-math", "fp32-cast-matmult-fp16", "no-fast-relayout"),
        log="",
        log_numbers=(100.0, 1, 1),
        left={"0", "compiler.err", "compiler.out", "trace.log"},
        other_precision="matmult-fp16-io16",
        other_flags=(
            "--fast-math",
            "fp32-cast-matmult-fp16",
            "no-fast-relayout",
            "optimizations=FLOAT32_TO_FLOAT16",
            "single_fusion_ratio_threshold=1.0",
            "fallback=False",
        ),
        easier=(
            "precision matmult-fp16-relayout",
            "precision matmult-fp16-relayout, fewer optimisations (-O 0)",
            "precision matmult-fp16-relayout, fewer optimisations (-O legacy)",
        ),
        no_device="no Neuron device here.*does not load; load it on an Inf1 instance",
    ),
    "inf2": Facts(
        inf2.BUILDER,
        "torch_neuronx",
        2,
        needs_torch_2,
        GOOD_INF2,
        ("torch", "torch-neuronx", "neuronx-cc"),
        {"neuronx-cc": "2.22.12471.0"},
        ("--target", "inf2", "--auto-cast", "matmult", "--auto-cast-type", "fp16"),
        log="log-neuron-cc.txt",
        log_numbers=(None, None, None),  # torch-neuronx logs nothing of the kind
        left={
            "command.txt",
            "compiler.err",
            "compiler.out",
            "graph.neff",
            "log-neuron-cc.txt",
            "model",
            "trace.log",
        },
        other_precision="none",
        other_flags=("--target", "inf2", "--auto-cast", "none"),
        easier=("fewer optimisations (--optlevel 1)",),
        no_device="no Neuron device here.*does not load; load it on an Inf2 or Trn1 instance",
    ),
}


@dataclass
class Target(Standin):
    """A device target, with the stand-in of its SDK as if it were installed."""

    facts: Facts
    folder: Path  # for the programs

    def build(
        self,
        made: nn.Module,
        name: str = "a",
        precision: str = PRECISION,
        given: Optional[Tensor] = None,
    ) -> Compiled:
        """One program, `name`.pt, of a network of images [B,3,H,W] to depth [B,H,W]."""
        only = part(made.eval(), example() if given is None else given)
        (built,) = self.facts.builder.build_programs(
            lambda _batch, _apart: [only],
            only.batch,
            False,
            lambda *_: self.folder / name,
            precision,
            self.settings,
        )
        return built

    def build_programs(self, made: Network, apart: bool = False) -> list[Compiled]:
        """A lowered network's programs: b1-fused.pt and so on."""
        return self.facts.builder.build_programs(
            lambda batch, wanted: parts(made, batch, wanted),
            1,
            apart,
            lambda stage, batch: self.folder / f"b{batch}-{stage}",
            PRECISION,
            self.settings,
        )

    def load(
        self, built: Compiled, precision: str = PRECISION
    ) -> Callable[[FloatArray], FloatArray]:
        """What runs a program of one input and one output."""
        ports = built.ports
        run = self.facts.builder.load(built.files, ports, precision)
        return lambda array: run({ports.inputs[0]: array})[ports.outputs[0]]


def record_of(built: Compiled) -> BuildRecord:
    assert built.record is not None
    return built.record


def rows(names: str, table: Sequence[tuple[Any, ...]]) -> pytest.MarkDecorator:
    """A test for every row, which begins with a target; it is skipped without the SDK's torch."""
    found = [pytest.param(*row, marks=FACTS[row[0]].needs) for row in table]
    return pytest.mark.parametrize(names, found, indirect=["target"])


@pytest.fixture(
    name="target", params=[pytest.param(name, marks=FACTS[name].needs) for name in FACTS]
)
def target_fixture(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Target:
    monkeypatch.setenv(PLATFORM, "")  # building for Inf2 sets it: so it is restored
    monkeypatch.delenv(PLATFORM)
    facts = FACTS[request.param]
    made = pretend(tmp_path, monkeypatch, facts.packages)
    return Target(made.control, made.settings, monkeypatch, facts, tmp_path)


class Resized(nn.Module):
    """Something the chip can do, a resize that it cannot, and something that it can."""

    def __init__(self, mode: str) -> None:
        super().__init__()
        self.resize = nn.Upsample(size=(56, 84), mode=mode, align_corners=True)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = self.resize(F.relu(images * 2.0))
        return F.relu(x * 3.0).sum(1)
