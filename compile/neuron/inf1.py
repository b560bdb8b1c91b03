"""Target `inf1`: torch-neuron and neuron-cc, for the NeuronCores of Inf1.

Written against AWS's documentation of torch-neuron 1.13.1 (archived) and neuron-cc 1.24. Compiling
needs no chip. Loading does: without a chip `torch.jit.load` raises RuntimeError "The PyTorch Neuron
Runtime could not be initialized".
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from compile.errors import HostError
from compile.neuron.builder import NeuronBuilder
from compile.neuron.graph import unsupported
from compile.neuron.program import CompileOrder
from compile.targets.modes import mode_named
from depth.errors import first_line

# By default a partition that holds 60 % of the operators is compiled alone, and smaller ones stay
# on the CPU without a word.
_FUSION_THRESHOLD = 1.0
# By default a sub-graph whose compilation fails stays on the CPU, and so does an unsupported
# operator. Without fallback the run ends at the first of them, instead of hours later.
_FALLBACK = False
# In the order to try; `-O 2` is the compiler's default.
_FEWER_OPTIMISATIONS = (("-O", "0"), ("-O", "legacy"))


def _flags(precision: str) -> tuple[str, ...]:
    """Arguments of the compiler, and options of torch-neuron."""
    mode = mode_named("inf1", precision)
    return (
        *mode.compiler_args,
        *(f"optimizations={name}" for name in mode.optimizations),
        f"single_fusion_ratio_threshold={_FUSION_THRESHOLD}",
        f"fallback={_FALLBACK}",
    )


def _trace(order: CompileOrder) -> torch.jit.ScriptModule:
    sdk = _sdk()
    names = mode_named("inf1", order.precision).optimizations
    optimizations = [getattr(sdk.Optimization, name) for name in names]
    return sdk.trace(
        order.part.module,
        order.part.examples,
        compiler_args=list(order.arguments),
        compiler_timeout=order.timeout_s,
        compiler_workdir=str(order.work),
        single_fusion_ratio_threshold=_FUSION_THRESHOLD,
        fallback=_FALLBACK,
        **({"optimizations": optimizations} if optimizations else {}),
    )


def _unsupported(traced: torch.jit.ScriptModule) -> str:
    return unsupported(traced, frozenset(_sdk().get_supported_operations()))


def _arguments(precision: str) -> tuple[str, ...]:
    return mode_named("inf1", precision).compiler_args


def _sdk() -> Any:
    """torch_neuron, imported on use: on an unfit machine the import itself fails."""
    try:
        import torch_neuron
    except (ImportError, RuntimeError) as error:
        raise HostError(f"torch_neuron cannot be imported: {first_line(error)}") from error
    return torch_neuron


BUILDER = NeuronBuilder(
    target="inf1",
    module=Path(__file__),
    logger_name="Neuron",
    sdk=_sdk,
    keeps_time=True,
    trace=_trace,
    unsupported=_unsupported,
    arguments=_arguments,
    flags=_flags,
    packages=("torch-neuron", "neuron-cc"),
    fewer=_FEWER_OPTIMISATIONS,
    instance="Inf1",
)
