"""Programs that do next to nothing: what it costs to hand over an image, in each dtype.

uint8 is not known to be accepted by this generation of the chip; that is found out here.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor, nn

from depth.errors import first_line
from depth.sizes import parse_size
from depth_anything.first_run.compile_host import TRANSFERS
from depth_anything.first_run.experiments.report import end
from depth_anything.first_run.experiments.sdk import chip, toolchain

_DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "uint8": torch.uint8}
_WARM_UP = 3


class HandOver(nn.Module):
    """Images [B,3,H,W] of any dtype to a map [B,H,W] in float32, with two operators."""

    def forward(self, images: Tensor) -> Tensor:
        return torch.relu(images.float()).sum(dim=1)


def main() -> None:
    parser = argparse.ArgumentParser()
    ways = parser.add_subparsers(dest="way", required=True)
    make = ways.add_parser("make")
    make.add_argument("folder", type=Path)
    make.add_argument("size")
    measure = ways.add_parser("measure")
    measure.add_argument("program", type=Path)
    measure.add_argument("dtype", choices=TRANSFERS)
    measure.add_argument("size")
    measure.add_argument("runs", type=int)
    given = parser.parse_args()
    if given.way == "make":
        _make(given.folder, given.size)
    _measure(given.program, given.dtype, given.size, given.runs)


def _make(folder: Path, size: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    why = {dtype: _made(folder / f"{dtype}.pt", dtype, size) for dtype in TRANSFERS}
    failed = [dtype for dtype, text in why.items() if text]
    # A refusal of uint8 is a result: it was never promised.
    broken = [dtype for dtype in failed if dtype != "uint8"]
    end({"why": why}, f"{broken[0]}: {why[broken[0]]}" if broken else "")


def _made(path: Path, dtype: str, size: str) -> str:
    """Why a program could not be compiled, or ""."""
    try:
        with TemporaryDirectory() as work:
            program = (
                toolchain()
                .sdk()
                .trace(
                    HandOver().eval(),
                    (_image(dtype, size),),
                    compiler_workdir=work,
                    fallback=False,
                    single_fusion_ratio_threshold=1.0,
                )
            )
        torch.jit.save(program, str(path))  # type: ignore[no-untyped-call]
    except Exception as error:  # the SDK raises a dozen kinds, some of them documented
        return f"{type(error).__name__}: {first_line(error)}"
    return ""


def _measure(path: Path, dtype: str, size: str, runs: int) -> None:
    image = _image(dtype, size)
    with chip().placed_on(0):
        program = torch.jit.load(str(path))  # type: ignore[no-untyped-call]
    found = []
    with torch.no_grad():
        for _ in range(_WARM_UP + runs):
            started = time.perf_counter()
            output = program(image)
            found.append((time.perf_counter() - started) * 1e3)
    end(
        {
            "median_ms": statistics.median(found[_WARM_UP:]),
            "bytes": sum(each.numel() * each.element_size() for each in (image, output)),
            "samples_ms": [round(sample, 4) for sample in found[_WARM_UP:]],
        }
    )


def _image(dtype: str, size: str) -> Tensor:
    height, width = parse_size(size, lambda _size: None)
    return torch.zeros(1, 3, height, width, dtype=_DTYPES[dtype])


if __name__ == "__main__":
    main()
