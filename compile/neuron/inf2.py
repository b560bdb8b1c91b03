"""Target `inf2`: torch-neuronx and neuronx-cc, for the NeuronCores of Inf2 and Trn1.

Written against AWS's documentation of torch-neuronx from SDK 2.23 on, the first that compiles on a
machine without a chip. A program can be loaded with the chip only. There is no fallback to the CPU:
the compiler takes the whole graph, or fails.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

from compile.errors import HostError
from compile.graph import read_graph
from compile.neuron.builder import NeuronBuilder
from compile.neuron.graph import described
from compile.neuron.program import CompileOrder
from compile.preflight.check import judged
from compile.targets.host import has_device
from compile.targets.modes import mode_named
from depth.errors import first_line

# For both families, whose cores are the same: NeuronCore-v2.
_TARGET = ("--target", "inf2")
# The compiler's default is 2; 3 takes more time and memory.
_FEWER_OPTIMISATIONS = (("--optlevel", "1"),)
_LOG = "log-neuron-cc.txt"  # by default in the current directory


def _flags(precision: str) -> tuple[str, ...]:
    return (*_TARGET, *mode_named("inf2", precision).compiler_args)


def _trace(order: CompileOrder) -> torch.jit.ScriptModule:
    sdk = _sdk()
    # The SDK ends with an exception where it would have to leave anything to the CPU.
    return sdk.trace(
        order.part.module,
        order.part.examples,
        compiler_args=[*order.arguments, "--logfile", str(order.work / _LOG)],
        compiler_workdir=str(order.work),
        cpu_backend=True,
    )


def _sdk() -> Any:
    """torch_neuronx, imported on use.

    On import the package looks for a chip. On a machine without a chip, a variable names the kind.
    """
    if not has_device():
        os.environ.setdefault("NEURON_PLATFORM_TARGET_OVERRIDE", "inf2")
    try:
        import torch_neuronx
    except (ImportError, RuntimeError) as error:
        raise HostError(f"torch_neuronx cannot be imported: {first_line(error)}") from error
    return torch_neuronx


def _unsupported(traced: torch.jit.ScriptModule) -> str:
    """The SDK has no list by name to ask; these are the rules of preflight."""
    rows = [row for row in judged(read_graph(traced), "inf2") if not row.passed]
    return "; ".join(f"{row.count} {row.operator} in {described(list(row.places))}" for row in rows)


BUILDER = NeuronBuilder(
    target="inf2",
    module=Path(__file__),
    logger_name="Neuron",
    sdk=_sdk,
    keeps_time=False,
    trace=_trace,
    unsupported=_unsupported,
    arguments=_flags,
    flags=_flags,
    packages=("torch-neuronx", "neuronx-cc"),
    fewer=_FEWER_OPTIMISATIONS,
    instance="Inf2 or Trn1",
)
