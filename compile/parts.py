"""A network at its size as parts to compile: whole, or in the stages of its model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from compile.errors import BuildError
from compile.shapes_only import without_values
from compile.targets.protocols import Part, named
from depth.family import IMAGES, Stage
from depth.network.base import Network


def parts(network: Network, batch: int, split: bool = False) -> list[Part]:
    """The network's stages for `batch` images of its fixed size, first to last.

    Only the whole network, unless `split`. Examples are zeros. What a stage gives is found on
    shapes alone, where its axes have letters that the size does not settle: torch takes two
    seconds to load what runs on shapes. Raises BuildError if a stage's tensors do not have the axes
    that its model states.
    """
    height, width = network.fixed_size
    letters = {"B": batch, "S": 1, "H": height, "W": width}
    shapes = {IMAGES.name: torch.empty(batch, 3, height, width, device="meta")}
    found = []
    for stage, module in stages_of(network, split):
        inputs = [shapes[port.name] for port in stage.inputs]
        own = letters
        if not all(axis.isdigit() or axis in letters for axis in _axes(stage)):
            with torch.no_grad():
                given = without_values(module)(*inputs)
            shapes.update(named([port.name for port in stage.outputs], given))
            own = _letters(stage, shapes, letters)
        examples = tuple(
            torch.zeros(tuple(tensor.shape), dtype=getattr(torch, port.dtype))
            for tensor, port in zip(inputs, stage.inputs)
        )
        found.append(Part(stage, module, examples, own))
    return found


def stages_of(network: Network, split: bool) -> Sequence[tuple[Stage, nn.Module]]:
    """The whole network, or with `split` its stages, first to last, if the model has several.

    The modules share their weights with the network; tensors go from stage to stage by the names
    of the stages' ports.
    """
    model = network.model
    found: list[tuple[Stage, nn.Module]] = [(model.fused, network)]
    if split and model.split:
        found = [(stage, network.stage(stage.name).eval()) for stage in model.split]
    return [(_taking(stage, network.image_dtype), module) for stage, module in found]


def _taking(stage: Stage, dtype: str) -> Stage:
    """The stage with images in this dtype."""
    images = replace(IMAGES, dtype=dtype)
    return replace(stage, inputs=tuple(images if p == IMAGES else p for p in stage.inputs))


def _axes(stage: Stage) -> set[str]:
    return {axis for port in (*stage.inputs, *stage.outputs) for axis in port.axes}


def _letters(stage: Stage, tensors: dict[str, Tensor], known: dict[str, int]) -> dict[str, int]:
    """What each letter of the stage's axes stands for."""
    letters = dict(known)
    for port in (*stage.inputs, *stage.outputs):
        shape = tuple(tensors[port.name].shape)
        fits = len(shape) == len(port.axes)
        for axis, size in zip(port.axes, shape):
            fits &= (int(axis) if axis.isdigit() else letters.setdefault(axis, size)) == size
        if not fits:
            raise BuildError(
                f"stage {stage.name!r}: {port.name} is {list(shape)}, but its axes are {port.axes} "
                f"with {letters}"
            )
    return letters
