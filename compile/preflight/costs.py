"""costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Union

import torch

from compile.lowering.network import OpenNetwork
from compile.lowering.passes import _apply, _label, _opened, asked
from compile.macs import count_macs, without_values
from depth_anything_v2.network import DepthAnything


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


def costs(network: Union[DepthAnything, OpenNetwork], passes: Sequence[str]) -> Costs:
    """What each pass adds at the network's current size. Counted on shapes; no weights needed."""
    chosen = asked(passes)
    opened = _opened(without_values(network))
    example = torch.empty(1, 3, *opened.size)
    before = macs, held = sum(count_macs(opened, example).values()), _constant_bytes(opened)
    found = []
    for row, form in chosen:
        _apply(opened, row, form)
        now = sum(count_macs(opened, example).values()), _constant_bytes(opened)
        found.append(PassCost(_label(row, form), now[0] - macs, now[1] - held))
        macs, held = now
    return Costs(before[0], tuple(found))


def _constant_bytes(network: OpenNetwork) -> int:
    tensors = [*network.parameters(), *network.buffers()]
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
