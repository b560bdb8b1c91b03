"""Which sizes the parts of a network work at: seen in one run of a copy that has no numbers."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from compile.parts import parts
from compile.shapes_only import without_values
from depth.network.base import Network


def arguments_of(network: Network) -> dict[str, tuple[Any, ...]]:
    """By the path of a module, the arguments of the last call of its forward; of tensors the shape.

    For one image of the network's fixed size, and for scenes of one view. Every stage runs, also
    the stage that gives rays.
    """
    found: dict[str, tuple[Any, ...]] = {}
    shapes = without_values(network)
    stages = parts(shapes, 1, split=True, rays=True)
    for path, module in shapes.named_modules():
        module.register_forward_pre_hook(partial(_note, found, path))
    with torch.no_grad():
        for part in stages:
            part.module(*(example.to("meta") for example in part.examples))
    return found


def _note(
    found: dict[str, tuple[Any, ...]], path: str, _module: nn.Module, arguments: tuple[Any, ...]
) -> None:
    found[path] = tuple(tuple(a.shape) if isinstance(a, Tensor) else a for a in arguments)
