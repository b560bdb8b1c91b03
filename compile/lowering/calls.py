"""Which sizes the parts of a network work at: seen in one run of a copy that has no numbers."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from compile.shapes_only import without_values
from depth.family import IMAGES, Port
from depth.network.base import Network


def arguments_of(network: Network) -> dict[str, tuple[Any, ...]]:
    """By the path of a module, the arguments of the last call of its forward; of tensors the shape.

    For one image of the network's fixed size, and for scenes of one view. Every stage runs, also
    those that are compiled only when they are asked for.
    """
    found: dict[str, tuple[Any, ...]] = {}
    shapes = without_values(network)
    for path, module in shapes.named_modules():
        module.register_forward_pre_hook(partial(_note, found, path))
    images = torch.empty(1, 3, *network.fixed_size, device="meta")
    with torch.no_grad():
        if network.model.split:
            _run_stages(shapes, images)
        else:
            shapes(images)
    return found


def _run_stages(shapes: Network, images: Tensor) -> None:
    """Each stage of the model, for one image. Tensors go from stage to stage by their names."""
    model, values = shapes.model, {IMAGES.name: images}
    for stage in (*model.split, *model.optional):
        outputs = shapes.stage(stage.name)(*(_given(port, values) for port in stage.inputs))
        tensors = outputs if isinstance(outputs, tuple) else (outputs,)
        values.update(zip((port.name for port in stage.outputs), tensors))


def _given(port: Port, values: dict[str, Tensor]) -> Tensor:
    """The input of a stage: one view as a scene of one view, and the other way round."""
    value = values.get(port.name)
    if value is None:
        sizes = (int(axis) if axis.isdigit() else 1 for axis in port.axes)
        return torch.empty(*sizes, device="meta")
    if value.ndim < len(port.axes):
        return value[:, None]
    return value if value.ndim == len(port.axes) else value[:, 0]


def _note(
    found: dict[str, tuple[Any, ...]], path: str, _module: nn.Module, arguments: tuple[Any, ...]
) -> None:
    found[path] = tuple(tuple(a.shape) if isinstance(a, Tensor) else a for a in arguments)
