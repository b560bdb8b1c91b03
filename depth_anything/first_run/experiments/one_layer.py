"""A network of one layer, compiled in every mode of the compiler: does the tool chain work?"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor, nn

from compile.errors import CompileError
from compile.neuron.program import compile_program
from compile.targets.modes import Mode, modes_of
from compile.targets.protocols import Part, Settings
from depth.errors import first_line
from depth.family import IMAGES, Port, Stage
from depth_anything.first_run.compile_host import TARGET
from depth_anything.first_run.experiments.report import end
from depth_anything.first_run.experiments.sdk import toolchain

SIZE = (64, 64)  # px


class OneLayer(nn.Module):
    """Images [B,3,H,W] to a map [B,H,W]: a convolution and a ReLU, with fixed weights."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 1, 3, padding=1)
        nn.init.constant_(self.conv.weight, 1 / 27)
        nn.init.zeros_(self.conv.bias)  # type: ignore[arg-type]

    def forward(self, images: Tensor) -> Tensor:
        return torch.relu(self.conv(images)).squeeze(1)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--limit-s", type=float, required=True)
    limit_s = parser.parse_args().limit_s
    stage = Stage("fused", (IMAGES,), (Port("depth", "BHW"),))
    letters = {"B": 1, "S": 1, "H": SIZE[0], "W": SIZE[1]}
    part = Part(stage, OneLayer().eval(), (torch.zeros(1, 3, *SIZE),), letters)
    with TemporaryDirectory() as scratch:
        settings = Settings(Path(scratch), limit_s)
        found = {mode.name: _compiled(mode, part, settings) for mode in modes_of(TARGET)}
    failed = [name for name, row in found.items() if row["why"]]
    first = f": {failed[0]}: {found[failed[0]]['why']}" if failed else ""
    end({"modes": found}, f"{len(failed)} of {len(found)} modes failed{first}" if failed else "")


def _compiled(mode: Mode, part: Part, settings: Settings) -> dict[str, Any]:
    """How long one mode took, and why it failed: "" if it did not."""
    started = time.perf_counter()
    path = (settings.folder or Path()) / f"{mode.name}.pt"
    try:
        compile_program(toolchain(), part, path, mode.name, (), settings)
        why = ""
    except CompileError as error:
        why = first_line(error)
    return {"why": why, "compile_s": round(time.perf_counter() - started, 3)}


if __name__ == "__main__":
    main()
