"""What each lowering pass adds to a network, counted on shapes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from compile.lowering.passes import apply, asked, copied, label
from compile.macs import count_macs
from compile.parts import parts
from compile.shapes_only import without_values
from depth.network.base import Network


@dataclass(frozen=True)
class PassCost:
    """What one pass adds to one forward pass of one image; negative where it saves."""

    name: str  # as asked for: "resize=matmul"
    macs: int
    constant_bytes: int  # weights and constants


@dataclass(frozen=True)
class Costs:
    macs_before: int  # of the network as it was
    passes: tuple[PassCost, ...]

    @property
    def extra_percent(self) -> float:
        return 100 * sum(cost.macs for cost in self.passes) / self.macs_before


def costs(network: Network, passes: Sequence[str], views: int = 1) -> Costs:
    """What each pass adds at the network's fixed size. Counted on shapes; no weights needed.

    Of a model of scenes: for a scene of `views` views, without rays.
    """
    chosen = asked(passes)
    lowered = copied(without_values(network))
    before = macs, held = _counted(lowered, views)
    found = []
    for row, variant in chosen:
        apply(lowered, row, variant)
        now = _counted(lowered, views)
        found.append(PassCost(label(row, variant), now[0] - macs, now[1] - held))
        macs, held = now
    return Costs(before[0], tuple(found))


def _counted(network: Network, views: int) -> tuple[int, int]:
    """Multiply-accumulates, and bytes of weights and constants."""
    tensors = [*network.parameters(), *network.buffers()]
    held = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
    macs = 0
    for part in parts(network, 1, views=views):
        times = 1 if part.stage.of_scenes else views
        macs += times * sum(count_macs(part.module, *part.examples).values())
    return macs, held
