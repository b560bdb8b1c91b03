"""The targets there are, as data. Loads no torch, so that a wrong name fails at once.

A target's module is imported only when it is used.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module, metadata
from typing import TYPE_CHECKING, Optional, cast

from compile.errors import BuildError, TargetError
from compile.targets.modes import modes_of
from compile.targets.protocols import Builder, Limit
from depth.errors import not_installed

if TYPE_CHECKING:
    from compile.targets.protocols import Quantiser, QuantisingBuilder


@dataclass(frozen=True)
class Calibrated:
    """A precision whose programs are calibrated on the user's images."""

    module: str  # a Quantiser
    package: str  # that it is made with, and that not everybody has


@dataclass(frozen=True)
class Target:
    name: str
    module: str
    limits: Mapping[str, Limit]  # by precision; the first one is the default
    summary: str
    passes: tuple[str, ...] = ()  # lowering passes that it needs, see compile/lowering
    device: bool = False  # its programs load on its device only
    calibrated: Mapping[str, Calibrated] = field(default_factory=dict)  # by precision


# Lowering passes of inf1 and inf2. Slices of attention cost nothing but operators. Where the logits
# would fill a core's memory they are needed; whether they pay elsewhere is not known.
NEURON_PASSES = (
    "position",
    "normalisation",
    "patch_embed",
    "batch_norm",
    "attention_scale",
    "layer_scale",
    "class_token",
    "attention_blocks=fit",
    "resize",
)

FP32 = Limit(
    max_rel=5e-4,
    mean_rel=5e-5,
    max_abs=5e-4,
    mean_abs=5e-5,
    scene_mean_rel=5e-5,
    rotation_deg=0.02,
    translation=5e-4,
    field_of_view_deg=0.02,
)
BF16 = Limit(
    max_rel=0.1,
    mean_rel=0.01,
    max_abs=0.1,
    mean_abs=0.01,
    scene_mean_rel=0.02,
    rotation_deg=2.0,
    translation=0.05,
    field_of_view_deg=2.0,
)


def _modes(target: str, default: str) -> dict[str, Limit]:
    """Every mode of a Neuron compiler, in the limit of bf16, the narrowest that they cast to."""
    return {name: BF16 for name in (default, *(mode.name for mode in modes_of(target)))}


_NNCF = Calibrated("compile.int8.nncf", "nncf")

TARGETS: dict[str, Target] = {
    target.name: target
    for target in (
        Target(
            "openvino",
            "compile.targets.openvino",
            {"fp32": FP32, "bf16": BF16, "int8": BF16, "int8-bf16": BF16},
            "CPU; the default",
            calibrated={"int8": _NNCF, "int8-bf16": _NNCF},
        ),
        Target("onnx", "compile.targets.onnx", {"fp32": FP32}, "ONNX Runtime and other tools"),
        Target("torchscript", "compile.targets.torchscript", {"fp32": FP32}, "CPU; torch itself"),
        Target(
            "inf1",
            "compile.neuron.inf1",
            _modes("inf1", "matmult-fp16"),  # what AWS advises where accuracy counts
            "NeuronCores of Inf1",
            NEURON_PASSES,
            device=True,
        ),
        Target(
            "inf2",
            "compile.neuron.inf2",
            _modes("inf2", "matmult-bf16"),  # the compiler's own default until SDK 2.26
            "NeuronCores of Inf2 and Trn1",
            NEURON_PASSES,
            device=True,
        ),
    )
}


AUTO = "auto"  # the fastest precision of a CPU, see compile/build/fastest; of a device, by forecast


def default_precision(target: str) -> str:
    """The target's precision if the user names none. Raises TargetError as `target_named`."""
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


def chosen_by_measurement(target: str, precision: Optional[str]) -> bool:
    """Whether the build measures the precisions of this CPU and takes the fastest.

    On a device `auto` goes by a forecast. Raises TargetError as `target_named`.
    """
    return precision == AUTO and not target_named(target).device


def neuron_target(name: str) -> Target:
    """The row of a device target. Raises TargetError that lists them."""
    found = {row.name: row for row in TARGETS.values() if row.device}
    if name not in found:
        raise TargetError(f"target {name!r} is not one of Neuron's; choose from {', '.join(found)}")
    return found[name]


def host_target(name: str, precision: str) -> Target:
    """The row of a target that runs where it is compiled. Raises TargetError for any other."""
    target = target_named(name)
    if target.device:
        here = ", ".join(row.name for row in TARGETS.values() if not row.device)
        raise TargetError(
            f"target {name!r} runs on its device only: `python -m compile build` makes an artifact "
            f"for it, `python -m serve folder` runs that there; choose from {here}"
        )
    return target_named(name, precision)


def ready(target: Target, precision: Optional[str] = None) -> None:
    """Raises HostError if this machine lacks what a device target's compiler needs.

    BuildError if it lacks the package that the precision is made with.
    """
    if target.device:
        from compile.targets.host import check_host  # loads what only a device's compiler is asked

        check_host(target.name)
    row = target.calibrated.get(precision or "")
    if row and precision and not calibration_versions(target, precision):
        raise BuildError(
            f"precision {precision!r} is made with {row.package}, which is not installed here: "
            "`make setup-int8` adds it to .venv. It cannot be installed beside torch 1.13 "
            "(.venv-inf1), whose numpy is too old for it; what is built in .venv is served in both"
        )


def calibration_versions(target: Target, precision: str) -> dict[str, str]:
    """Name and version of what a calibrated precision is made with; imports nothing.

    Empty for other precisions, and if it is not installed.
    """
    try:
        package = target.calibrated[precision].package
        return {package: metadata.version(package)}
    except (KeyError, metadata.PackageNotFoundError):
        return {}


def builder(target: Target) -> Builder:
    """A target's module, or the object BUILDER in it.

    Raises BuildError if its packages are not installed.
    """
    try:
        module = import_module(target.module)
        return cast(Builder, getattr(module, "BUILDER", module))
    except ImportError as error:
        raise BuildError(f"target {target.name!r} needs {not_installed(error)}") from error


def precision_here(target: Target, precision: str) -> str:
    """The precision that this CPU runs for the asked one: int8 with bf16 beside it, if it has that.

    Raises BuildError as `builder`.
    """
    if precision not in target.calibrated:
        return precision
    return cast("QuantisingBuilder", builder(target)).calibrated_here(precision)


def quantiser(target: Target, precision: str) -> Optional[Quantiser]:
    """The module of a calibrated precision; None for other precisions."""
    row = target.calibrated.get(precision)
    return cast("Quantiser", import_module(row.module)) if row else None
