"""Target `inf1`: torch-neuron and neuron-cc, for the NeuronCores of Inf1.

Written against AWS's documentation of torch-neuron 1.13.1 (archived) and neuron-cc 1.24. Compiling
needs no chip; running does: on any other machine a program loads and gives wrong numbers.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Optional

import torch
from torch import Tensor, nn

from compile.errors import BuildError, HostError
from compile.modes import FP16, mode_named
from compile.neuron.host import has_device, version
from compile.neuron.ladder import Built, Name, Rung, climb, gentle, rungs
from compile.neuron.program import CompileOrder, Settings, Toolchain, compile_program
from compile.neuron.record import BuildRecord
from compile.targets import Run
from depth_anything_v2.depth_map import FloatArray
from depth_anything_v2.errors import first_line

# By default a partition that holds 60 % of the operators is compiled alone, and smaller ones stay
# on the CPU without a word.
_FUSION_THRESHOLD = 1.0
# By default a sub-graph whose compilation fails stays on the CPU, and so does an unsupported
# operator. Without fallback the run ends at the first of them, instead of hours later.
_FALLBACK = False
# In the order to try; `-O 2` is the compiler's default.
_FEWER_OPTIMISATIONS = (("-O", "0"), ("-O", "legacy"))


def build(
    network: nn.Module,
    example: Tensor,
    stem: Path,
    precision: str,
    settings: Optional[Settings] = None,
) -> list[Path]:
    """Compile a lowered network to `stem.pt`; its record is `stem.build.json`.

    If the compiler dies, it is tried again with fewer optimisations. Raises HostError,
    CompilerError or BuildError.
    """
    asked = Rung("as asked", "", len(example))
    ladder = (asked, *gentle(asked, _FEWER_OPTIMISATIONS))
    compile_one = partial(_compile_one, precision, settings or Settings())
    built = climb(ladder, network, example, lambda _stage, _batch: stem, compile_one)
    return list(built[0].files)


def build_programs(
    network: nn.Module,
    example: Tensor,
    name: Name,
    precision: str,
    apart: bool = False,
    settings: Optional[Settings] = None,
) -> list[Built]:
    """The same with the whole ladder: may give encoder and decoder apart, or a smaller batch.

    `name` gives the path of a program, without a suffix, from its stage and batch.
    """
    ladder = rungs(len(example), _FEWER_OPTIMISATIONS, apart)
    compile_one = partial(_compile_one, precision, settings or Settings())
    return climb(ladder, network, example, name, compile_one)


def load(files: Sequence[Path], precision: str) -> Run:
    """Load a program on one NeuronCore. Raises BuildError if there is none here."""
    if not has_device():
        raise BuildError(
            f"{files[0]}: no Neuron device here, and without one the program gives wrong numbers; "
            "load it on an Inf1 instance"
        )
    if not {"NEURON_RT_NUM_CORES", "NEURON_RT_VISIBLE_CORES"} & set(os.environ):
        os.environ["NEURON_RT_NUM_CORES"] = "1"  # else this process takes every core
    _sdk()  # registers the operator that the file is made of
    try:
        program = torch.jit.load(str(files[0]))  # type: ignore[no-untyped-call]
    except (RuntimeError, ValueError) as error:
        raise BuildError(f"torch could not load {files[0]}: {first_line(error)}") from error
    half = mode_named("inf1", precision).io == FP16

    def run(images: FloatArray) -> FloatArray:
        given = torch.from_numpy(images)
        with torch.no_grad():
            found = program(given.half() if half else given)
        return found.float().numpy()

    return run


def flags(precision: str) -> tuple[str, ...]:
    """What the compiler is told, and what torch-neuron is."""
    mode = mode_named("inf1", precision)
    return (
        *mode.compiler_args,
        *(f"optimizations={name}" for name in mode.optimizations),
        f"single_fusion_ratio_threshold={_FUSION_THRESHOLD}",
        f"fallback={_FALLBACK}",
    )


def versions() -> dict[str, str]:
    found = {name: version(name) for name in ("torch", "torch-neuron", "neuron-cc")}
    return {name: text for name, text in found.items() if text is not None}


def _compile_one(
    precision: str,
    settings: Settings,
    network: nn.Module,
    example: Tensor,
    path: Path,
    fewer: tuple[str, ...],
) -> BuildRecord:
    return compile_program(_TOOLCHAIN, network, example, path, precision, fewer, settings)


def _trace(order: CompileOrder) -> torch.jit.ScriptModule:
    sdk = _sdk()
    names = mode_named("inf1", order.precision).optimizations
    optimizations = [getattr(sdk.Optimization, name) for name in names]
    return sdk.trace(
        order.network,
        (order.example,),
        compiler_args=list(order.arguments),
        compiler_timeout=order.timeout_s,
        compiler_workdir=str(order.work),
        single_fusion_ratio_threshold=_FUSION_THRESHOLD,
        fallback=_FALLBACK,
        **({"optimizations": optimizations} if optimizations else {}),
    )


def _supported() -> frozenset[str]:
    return frozenset(_sdk().get_supported_operations())


def _arguments(precision: str) -> tuple[str, ...]:
    return mode_named("inf1", precision).compiler_args


def _sdk() -> Any:
    """torch_neuron, imported on use: on an unfit machine the import itself fails."""
    try:
        import torch_neuron
    except (ImportError, RuntimeError) as error:
        raise HostError(f"torch_neuron cannot be imported: {first_line(error)}") from error
    return torch_neuron


_TOOLCHAIN = Toolchain(
    target="inf1",
    module=Path(__file__),
    logger_name="Neuron",
    sdk=_sdk,
    keeps_time=True,
    trace=_trace,
    supported=_supported,
    arguments=_arguments,
    versions=versions,
)
