"""Which sizes the parts of a network work at: seen in one run of a copy that has no numbers."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from compile.shapes_only import without_values
from depth.network.base import Network


def arguments_of(network: Network) -> dict[str, tuple[Any, ...]]:
    """By the path of a module, the arguments of the last call of its forward; of tensors the shape.

    For one image of the network's fixed size.
    """
    found: dict[str, tuple[Any, ...]] = {}
    shapes = without_values(network)
    for path, module in shapes.named_modules():
        module.register_forward_pre_hook(partial(_note, found, path))
    with torch.no_grad():
        shapes(torch.empty(1, 3, *network.fixed_size, device="meta"))
    return found


def _note(
    found: dict[str, tuple[Any, ...]], path: str, _module: nn.Module, arguments: tuple[Any, ...]
) -> None:
    found[path] = tuple(tuple(a.shape) if isinstance(a, Tensor) else a for a in arguments)
