"""What targets provide and exchange. Loads no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Optional, Protocol, runtime_checkable

from depth.maps.depth_map import FloatArray

if TYPE_CHECKING:
    from torch import Tensor, nn

    from compile.neuron.record import BuildRecord

Name = Callable[[str, int], Path]  # stage and batch -> the path of a program, without a suffix


@dataclass(frozen=True)
class Built:
    """One program that came out."""

    stage: str
    batch: int
    files: tuple[Path, ...]
    record: BuildRecord


@dataclass(frozen=True)
class Settings:
    """How far a compile run may go, and where its files stay."""

    folder: Path = field(
        default_factory=lambda: Path.home() / ".cache" / "depth-anything-inferentia"
    )  # work folders and compiled programs
    timeout_s: float = 2 * 3600.0  # for one sub-graph: the longest published one took 112 minutes
    memory_limit_bytes: Optional[int] = None  # None: most of what is free when a run begins
    # A program then also takes other batches than its own, and splits or pads them to runs of it.
    # Its batch in the manifest stays that of one run: what was compiled, and what parity measures.
    dynamic_batch: bool = False


Inputs = Callable[[], Sequence[FloatArray]]
Change = Callable[[Any], Any]  # a graph as its target's library holds it


class Quantiser(Protocol):
    """What the module of a whole-number precision provides."""

    def quantised(self, graph: Any, inputs: Inputs, float_layers: Sequence[str]) -> Any:
        """The graph with its layers in whole numbers, but for `float_layers`."""

    def flags(self) -> tuple[str, ...]:
        """Settings that the program's numbers depend on."""


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
class QuantisingBuilder(Protocol):
    """What the module of a target with whole-number precisions provides beside that."""

    def build_quantised(
        self, network: nn.Module, example: Tensor, stem: Path, change: Change
    ) -> list[Path]:
        """As `build`, with the converted graph changed before it is saved."""


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
    """Largest parity errors that pass; see compile/parity/measure.py for how they are measured."""

    max_rel: float
    mean_rel: float
