"""Which sizes the parts of a network work at: seen in one run of a copy that has no numbers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from compile.shapes_only import without_values
from depth.network.base import Network


@dataclass(frozen=True)
class Call:
    """The arguments of a module's forward; of a tensor its shape."""

    arguments: tuple[Any, ...]

    def shape(self, place: int) -> tuple[int, ...]:
        """Of a tensor."""
        found: tuple[int, ...] = self.arguments[place]
        return found


def calls_of(network: Network) -> dict[str, Call]:
    """As `calls`, for one image of the network's fixed size."""
    return calls(network, torch.empty(1, 3, *network.fixed_size, device="meta"))


def calls(root: nn.Module, *inputs: Tensor) -> dict[str, Call]:
    """By the path of a module, the last call of its forward, for inputs of these shapes."""
    found: dict[str, Call] = {}
    shapes = without_values(root)
    for path, module in shapes.named_modules():
        module.register_forward_pre_hook(partial(_note, found, path))
    with torch.no_grad():
        shapes(*(torch.empty_like(one, device="meta") for one in inputs))
    return found


def _note(
    found: dict[str, Call], path: str, _module: nn.Module, arguments: tuple[Any, ...]
) -> None:
    found[path] = Call(tuple(tuple(a.shape) if isinstance(a, Tensor) else a for a in arguments))
