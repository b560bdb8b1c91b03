"""What targets provide and exchange. Loads no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Optional, Protocol, Union

from depth.artifact.program import Program
from depth.family import CAMERA, SKY, Output, Stage
from depth.maps.result import FloatArray

if TYPE_CHECKING:
    from torch import Tensor, nn

    from compile.neuron.record import BuildRecord

Arrays = Mapping[str, FloatArray]
Run = Callable[[Arrays], dict[str, FloatArray]]  # by name, all with the batch axis first
Limits = Mapping[str, Mapping[str, float]]  # by output and name of an error
Name = Callable[[str, int], Path]  # stage and batch -> the path of a program, without a suffix
Inputs = Callable[[], Sequence[dict[str, FloatArray]]]
Change = Callable[[Any], Any]  # a graph as its target's library holds it


@dataclass(frozen=True)
class Ports:
    """The names of a program's inputs and outputs, in the order in which its graph has them."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    dtypes: tuple[str, ...]  # of the inputs: "float32", "float16"

    @staticmethod
    def of(stage: Union[Stage, Program]) -> Ports:
        inputs, outputs = stage.inputs, stage.outputs
        return Ports(
            tuple(port.name for port in inputs),
            tuple(port.name for port in outputs),
            tuple(port.dtype for port in inputs),
        )

    def given(self, arrays: Arrays) -> dict[str, Any]:
        """The inputs of a program in its order, each in the dtype that the program takes."""
        return {
            name: arrays[name].astype(dtype, copy=False)
            for name, dtype in zip(self.inputs, self.dtypes)
        }


def named(names: Sequence[str], found: Any) -> dict[str, Any]:
    """A network's answer by name: one tensor, or as many as there are names."""
    return dict(zip(names, found if isinstance(found, (tuple, list)) else (found,)))


@dataclass(frozen=True)
class Settings:
    """How far a compile run may go, and where its files stay."""

    folder: Optional[Path] = None  # work folders and compiled programs; None: in the user's cache
    timeout_s: float = 2 * 3600.0  # for one sub-graph: the longest published one took 112 minutes
    memory_limit_bytes: Optional[int] = None  # None: most of what is free when a run begins


@dataclass(frozen=True)
class Part:
    """A stage of a network at a fixed size and batch, ready to compile."""

    stage: Stage
    module: nn.Module  # tensors in and out in the order of the stage's ports
    examples: tuple[Tensor, ...]
    letters: Mapping[str, int]  # what the letters of its ports' axes stand for

    @property
    def batch(self) -> int:
        return self.letters["B"]

    @property
    def views(self) -> int:
        return self.letters["S"]

    @property
    def ports(self) -> Ports:
        return Ports.of(self.stage)


@dataclass(frozen=True)
class Compiled:
    """One program on disk, not yet part of an artifact."""

    stage: Stage
    letters: Mapping[str, int]
    files: tuple[Path, ...]
    build_s: float
    record: Optional[BuildRecord] = None  # of a Neuron compiler

    @property
    def batch(self) -> int:
        return self.letters["B"]

    @property
    def views(self) -> int:
        return self.letters["S"]

    @property
    def ports(self) -> Ports:
        return Ports.of(self.stage)


class Quantiser(Protocol):
    """What the module of precision int8 provides."""

    def quantised(self, graph: Any, inputs: Inputs, float_layers: Sequence[str]) -> Any:
        """The graph with its layers in int8, but for `float_layers`."""

    def flags(self) -> tuple[str, ...]:
        """Settings that the program's numbers depend on."""


class Builder(Protocol):
    """What a target's module provides."""

    def load(self, files: Sequence[Path], ports: Ports, precision: str) -> Run:
        """Load the saved files as serving does."""

    def flags(self, precision: str) -> tuple[str, ...]:
        """Compiler and run-time settings that the program's numbers depend on."""

    def versions(self) -> dict[str, str]:
        """Name and version of the packages that made the program."""


class HostBuilder(Builder, Protocol):
    """The module of a target that runs where it is compiled."""

    def build(self, part: Part, stem: Path, precision: str) -> list[Path]:
        """Write the program as files that start with `stem`; the first one is the entry point."""


class QuantisingBuilder(Protocol):
    """What the module of a target with precision int8 provides beside that."""

    def build_quantised(self, part: Part, stem: Path, change: Change) -> list[Path]:
        """As `build`, with the converted graph changed before it is saved."""

    def runs_natively(self, precision: str) -> bool:
        """Whether this CPU has the arithmetic of a precision."""

    def calibrated_here(self, precision: str) -> str:
        """The calibrated precision whose float layers have the fastest arithmetic of this CPU."""

    def converted(self, part: Part) -> AbstractContextManager[Any]:
        """A part as a graph of the target's library. Raises BuildError."""

    def load_graph(self, graph: Any, ports: Ports, precision: str) -> Run:
        """Load such a graph as serving loads the saved file. Raises RuntimeError."""


class DeviceBuilder(Builder, Protocol):
    """The builder of a device target."""

    def build_programs(
        self,
        parts: Callable[[int, bool], Sequence[Part]],
        batch: int,
        split: bool,
        name: Name,
        precision: str,
        settings: Settings,
    ) -> list[Compiled]:
        """Compile a lowered network, whole or in stages; see compile/neuron/builder.py.

        `parts` gives its parts for a batch size, whole or split into its stages.
        """


@dataclass(frozen=True)
class Limit:
    """Largest parity errors that pass; see compile/parity/measure.py for how they are measured."""

    max_rel: float  # of depth and confidence
    mean_rel: float
    max_abs: float  # of sky, whose values have no scale of their own
    mean_abs: float
    scene_mean_rel: float = 0.0  # in place of mean_rel in scenes: more layers, and exp at the end
    rotation_deg: float = 0.0  # of cameras; see compile/parity/cameras.py
    translation: float = 0.0
    field_of_view_deg: float = 0.0

    def of(self, outputs: Sequence[Output]) -> Limits:
        """By output and name, as a manifest's gate states them."""
        scenes = any(output.kind == CAMERA for output in outputs)
        return {output.name: self._of_kind(output.kind, scenes) for output in outputs}

    def _of_kind(self, kind: str, scenes: bool) -> dict[str, float]:
        if kind == SKY:
            return {"max_abs": self.max_abs, "mean_abs": self.mean_abs}
        if kind == CAMERA:
            names = ("rotation_deg", "translation", "field_of_view_deg")
            return {name: getattr(self, name) for name in names}
        mean_rel = self.scene_mean_rel if scenes else self.mean_rel
        return {"max_rel": self.max_rel, "mean_rel": mean_rel}
