"""Programs that were measured together, and what makes them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Optional

from compile.build.request import Request
from compile.lowering.passes import lower
from compile.parity.measure import InputErrors
from compile.preflight.report import PreflightReport
from compile.targets.protocols import Compiled
from compile.targets.table import Target
from depth.network.base import Network
from depth.sizes import Size

Step = Callable[[str], None]  # called with what begins now, in words


@dataclass(frozen=True)
class Proven:
    """Programs of one size that run together, and how far they are from the eager network."""

    name: str  # in messages: "518x686-b1"
    programs: tuple[Compiled, ...]
    results: Sequence[InputErrors]  # of all together; empty where only the device can tell
    parity_s: float = 0.0
    preflight: Optional[PreflightReport] = None


@dataclass(frozen=True)
class BasePrograms:
    """What the programs of an artifact have in common."""

    request: Request
    target: Target
    folder: Path  # that the programs are written to

    def lowered(self, network: Network) -> Network:
        passes = self.request.passes
        return lower(network, passes) if passes else network

    def shapes(self) -> Iterator[tuple[Size, int]]:
        """Size and batch of each call of `make`."""
        return self.request.shapes()
