"""The compiled graphs of an artifact: their names, and how stages are joined.

Standard library only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Optional

from depth.sizes import Size

Numbers = Mapping[str, Optional[float]]  # one output's errors by name; see compile/parity


class ProgramKey(NamedTuple):
    """Identifies a program of an artifact, or a chain of stages.

    `stage` is the chain's first.
    """

    height_px: int
    width_px: int
    batch: int
    views: int = 1
    stage: str = "fused"

    @property
    def size(self) -> Size:
        return self.height_px, self.width_px

    @property
    def shape(self) -> Shape:
        """The shape of requests for this program."""
        return Shape(self.height_px, self.width_px, self.views, self.stage)

    @property
    def name(self) -> str:
        return program_name(self.stage, self.size, self.batch, self.views)


class Shape(NamedTuple):
    """A program key without its batch: requests with equal shapes can share a run."""

    height_px: int
    width_px: int
    views: int = 1
    stage: str = "fused"

    @property
    def name(self) -> str:
        """518x686, 336x504-s4-trunk."""
        several = f"-s{self.views}" if self.views > 1 else ""
        stage = "" if self.stage == "fused" else f"-{self.stage}"
        return f"{self.height_px}x{self.width_px}{several}{stage}"

    def batch_of(self, batch: int) -> ProgramKey:
        return ProgramKey(self.height_px, self.width_px, batch, self.views, self.stage)


def program_name(stage: str, size: Size, batch: int, views: int = 1) -> str:
    """518x686-b1, 518x686-b1-encoder, 336x504-s4-b1-trunk. Nothing parses it."""
    several = f"-s{views}" if views > 1 else ""
    return f"{size[0]}x{size[1]}{several}-b{batch}" + ("" if stage == "fused" else f"-{stage}")


@dataclass(frozen=True)
class ProgramFile:
    path: str  # relative to the artifact's folder, with forward slashes
    sha256: str
    size_bytes: int


@dataclass(frozen=True)
class Tensor:
    """An input or output of a program. `axes`: a letter of its `shape`, or a digit, per axis."""

    name: str
    axes: str
    dtype: str

    def shape(self, letters: Mapping[str, int]) -> tuple[int, ...]:
        return tuple(int(axis) if axis.isdigit() else letters[axis] for axis in self.axes)


@dataclass(frozen=True)
class Program:
    """One compiled graph: a stage at fixed sizes."""

    name: str
    stage: str
    shape: Mapping[str, int]  # B, S, H, W and the letters of its tensors' axes
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    files: tuple[ProgramFile, ...]  # the first one is the entry point
    # By output of the chain that it is in; None if its numbers can only be measured on the device.
    measured: Optional[Mapping[str, Mapping[str, Optional[float]]]]

    def shapes(self, tensors: Sequence[Tensor]) -> dict[str, tuple[int, ...]]:
        """The shapes of tensors of this program, by name."""
        return {tensor.name: tensor.shape(self.shape) for tensor in tensors}

    @property
    def size(self) -> Size:
        return self.shape["H"], self.shape["W"]

    @property
    def batch(self) -> int:
        return self.shape["B"]

    @property
    def views(self) -> int:
        return self.shape["S"]

    @property
    def of_scenes(self) -> bool:
        """Whether it has several views at once: an axis S."""
        return any("S" in tensor.axes for tensor in self.inputs)


@dataclass(frozen=True)
class OutputFacts:
    """One array of a result."""

    name: str
    kind: str  # of what the programs give
    becomes: Optional[str]  # its kind after the host steps, if that can be another
    axes: str
    unit: Optional[str]
    largest: Optional[float]  # the far end of its range, where it has one


def joined(programs: Sequence[Program], outputs: Sequence[OutputFacts]) -> tuple[Program, ...]:
    have, left, chain = {"images"}, list(programs), []
    while not {output.name for output in outputs} <= have:
        ready = [p for p in left if {tensor.name for tensor in p.inputs} <= have]
        if not ready:
            return ()
        chain.append(ready[0])
        left.remove(ready[0])
        have |= {tensor.name for tensor in ready[0].outputs}
    return tuple(chain)
