"""What the modules of both device targets provide, given what differs between their SDKs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Optional

import torch
from torch import Tensor, nn

from compile.errors import BuildError
from compile.neuron.fallbacks import Compile, Rung, climb, gentle, rungs
from compile.neuron.host import has_device
from compile.neuron.program import Toolchain, compile_program
from compile.neuron.record import BuildRecord, dump_record, record_path
from compile.targets.modes import FP16, mode_named
from compile.targets.protocols import Built, Name, Run, Settings
from depth.errors import first_line
from depth.maps.depth_map import FloatArray


def build(
    toolchain: Toolchain,
    network: nn.Module,
    example: Tensor,
    stem: Path,
    precision: str,
    settings: Optional[Settings],
) -> list[Path]:
    """Compile a lowered network to `stem.pt`, and write its record beside it.

    If the compiler dies, it is tried again with fewer optimisations. Raises HostError,
    CompilerError or BuildError.
    """
    asked = Rung("as asked", "", len(example))
    ladder = (asked, *gentle(asked, toolchain.fewer))
    compile_one = _compiler(toolchain, precision, settings)
    (built,) = climb(ladder, network, example, lambda _stage, _batch: stem, compile_one)
    record_path(stem).write_bytes(dump_record(built.record))
    return list(built.files)


def build_programs(
    toolchain: Toolchain,
    network: nn.Module,
    example: Tensor,
    name: Name,
    precision: str,
    apart: bool,
    settings: Optional[Settings],
) -> list[Built]:
    """The same with the whole ladder: may give encoder and decoder apart, or a smaller batch.

    `name` gives the path of a program, without a suffix, from its stage and batch.
    """
    ladder = rungs(len(example), toolchain.fewer, apart)
    compile_one = _compiler(toolchain, precision, settings)
    return climb(ladder, network, example, name, compile_one)


def load(toolchain: Toolchain, files: Sequence[Path], precision: str) -> Run:
    """Load a program on one NeuronCore. Raises BuildError if there is none here."""
    if not has_device():
        raise BuildError(
            f"{files[0]}: no Neuron device here, and without one the program "
            f"{toolchain.elsewhere}; load it on an {toolchain.instance} instance"
        )
    if not {"NEURON_RT_NUM_CORES", "NEURON_RT_VISIBLE_CORES"} & set(os.environ):
        os.environ["NEURON_RT_NUM_CORES"] = "1"  # else this process takes every core
    toolchain.sdk()  # registers the operator that the file is made of
    try:
        program = torch.jit.load(str(files[0]))  # type: ignore[no-untyped-call]
    except (RuntimeError, ValueError) as error:
        raise BuildError(f"torch could not load {files[0]}: {first_line(error)}") from error
    half = mode_named(toolchain.target, precision).io == FP16

    def run(images: FloatArray) -> FloatArray:
        given = torch.from_numpy(images)
        with torch.no_grad():
            found = program(given.half() if half else given)
        return found.float().numpy()

    return run


def _compiler(toolchain: Toolchain, precision: str, settings: Optional[Settings]) -> Compile:
    return partial(_compile_one, toolchain, precision, settings or Settings())


def _compile_one(
    toolchain: Toolchain,
    precision: str,
    settings: Settings,
    network: nn.Module,
    example: Tensor,
    path: Path,
    fewer: tuple[str, ...],
) -> BuildRecord:
    return compile_program(toolchain, network, example, path, precision, fewer, settings)
