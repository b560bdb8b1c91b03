"""The targets there are, as data. A target's module is imported only when it is used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Callable, Optional, Protocol, cast, runtime_checkable

from torch import Tensor, nn

from compile.errors import BuildError, TargetError
from compile.lowering.passes import NEURON_PASSES
from compile.modes import modes_of
from compile.neuron.host import check_host
from depth_anything_v2.depth_map import FloatArray

if TYPE_CHECKING:
    from compile.neuron.ladder import Built, Name
    from compile.neuron.program import Settings

Run = Callable[[FloatArray], FloatArray]  # [B,3,H,W] float32 -> [B,H,W] float32


class Builder(Protocol):
    """What a target's module provides."""

    def build(self, network: nn.Module, example: Tensor, stem: Path, precision: str) -> list[Path]:
        """Write the program as files that start with `stem`; the first one is the entry point."""

    def load(self, files: Sequence[Path], precision: str) -> Run:
        """Load the saved files as serving does."""

    def flags(self, precision: str) -> tuple[str, ...]:
        """Compiler and run-time settings that the program's numbers depend on."""

    def versions(self) -> dict[str, str]:
        """Name and version of the packages that made the program."""


@runtime_checkable
class DeviceBuilder(Protocol):
    """What the module of a device target provides beside that."""

    def build_programs(
        self,
        network: nn.Module,
        example: Tensor,
        name: Name,
        precision: str,
        apart: bool,
        settings: Settings,
    ) -> list[Built]:
        """Compile a lowered network, one program or encoder and decoder.

        If the compiler dies, programs that ask less of it come out, maybe of a smaller batch.
        """


@dataclass(frozen=True)
class Limit:
    """Largest parity errors that pass; see compile/parity.py for how they are measured."""

    max_rel: float
    mean_rel: float


@dataclass(frozen=True)
class Target:
    name: str
    module: str
    limits: Mapping[str, Limit]  # by precision; the first one is the default
    summary: str
    passes: tuple[str, ...] = ()  # lowering passes that it needs, see compile/lowering
    device: bool = False  # its programs give right numbers on its device only


FP32 = Limit(max_rel=5e-4, mean_rel=5e-5)
BF16 = Limit(max_rel=0.1, mean_rel=0.01)


def _modes(target: str, default: str) -> dict[str, Limit]:
    """Every mode of a Neuron compiler, in the limit of bf16, the narrowest that they cast to."""
    return {name: BF16 for name in (default, *(mode.name for mode in modes_of(target)))}


TARGETS: dict[str, Target] = {
    target.name: target
    for target in (
        Target("openvino", "compile.openvino", {"fp32": FP32, "bf16": BF16}, "CPU; the default"),
        Target("onnx", "compile.onnx", {"fp32": FP32}, "ONNX Runtime and other tools"),
        Target("torchscript", "compile.torchscript", {"fp32": FP32}, "CPU; torch itself"),
        Target(
            "inf1",
            "compile.inf1",
            _modes("inf1", "matmult-fp16"),  # what AWS advises where accuracy counts
            "NeuronCores of Inf1",
            NEURON_PASSES,
            device=True,
        ),
        Target(
            "inf2",
            "compile.inf2",
            _modes("inf2", "matmult-bf16"),  # the compiler's own default until SDK 2.26
            "NeuronCores of Inf2 and Trn1",
            NEURON_PASSES,
            device=True,
        ),
    )
}


def default_precision(target: str) -> str:
    """What the target uses if nothing else is asked for. Raises TargetError as `target_named`."""
    return next(iter(target_named(target).limits))


def target_named(name: str, precision: Optional[str] = None) -> Target:
    """The row of `TARGETS`. Raises TargetError that lists what there is."""
    target = TARGETS.get(name)
    if target is None:
        raise TargetError(f"no target {name!r}; choose from {', '.join(TARGETS)}")
    if precision is not None and precision not in target.limits:
        raise TargetError(
            f"target {name!r} has no precision {precision!r}; "
            f"choose from {', '.join(target.limits)}"
        )
    return target


def ready(target: Target) -> None:
    """Raises HostError if this machine lacks what a device target's compiler needs."""
    if target.device:
        check_host(target.name)


def builder(target: Target) -> Builder:
    """Import a target's module. Raises BuildError if its packages are not installed."""
    try:
        return cast(Builder, import_module(target.module))
    except ImportError as error:
        raise BuildError(
            f"target {target.name!r} needs a package that is not installed ({error}); "
            "run `make setup`"
        ) from error
