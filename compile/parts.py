"""A network at its size as parts to compile: whole, or in the stages of its model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from compile.errors import BuildError
from compile.shapes_only import without_values
from compile.targets.protocols import Part, named
from depth.family import IMAGES, Stage
from depth.network.base import Network


def parts(
    network: Network, batch: int, split: bool = False, views: int = 1, rays: bool = False
) -> list[Part]:
    """The network's stages for `batch` images of its fixed size, first to last.

    views  of a scene; a stage that knows it takes one scene at a time
    rays   also the stage that gives rays, if the model has it

    Only the whole network, unless `split`; a model of scenes is always in stages. Examples are
    zeros. What a stage gives is found on shapes alone, where its axes have letters that the size
    does not settle: torch takes two seconds to load what runs on shapes. Raises BuildError if a
    stage's tensors do not have the axes that its model states.
    """
    height, width = network.fixed_size
    known = {"H": height, "W": width}  # what letters stand for, in every stage that has them
    found = []
    for stage, module in stages_of(network, split, views, rays):
        counts = (1, views) if stage.of_scenes else (batch, 1)
        own = {**dict(zip("BS", counts)), **known}
        shapes = [_shape(stage, port.axes, own) for port in stage.inputs]
        if not _axes(stage) <= own.keys():
            with torch.no_grad():
                given = without_values(module)(*(torch.empty(s, device="meta") for s in shapes))
            outputs = named([port.name for port in stage.outputs], given)
            own = _letters(stage, outputs, own)
            known.update({letter: own[letter] for letter in own.keys() - {"B", "S"}})
        examples = tuple(
            torch.zeros(shape, dtype=getattr(torch, port.dtype))
            for shape, port in zip(shapes, stage.inputs)
        )
        mine = {"B", "S", "H", "W", *_axes(stage)}
        letters = {letter: size for letter, size in own.items() if letter in mine}
        found.append(Part(stage, module, examples, letters))
    return found


def scene_parts(
    network: Network, batches: Iterable[int], views: Iterable[int], rays: bool = False
) -> list[Part]:
    """The stages of a model of scenes, each once for every batch or number of views it knows."""
    found: dict[tuple[str, int, int], Part] = {}
    for count in views:
        for batch in batches:
            for part in parts(network, batch, views=count, rays=rays):
                key = part.stage.name, part.batch, part.views
                found.setdefault(key, part)
    return list(found.values())


def stages_of(
    network: Network, split: bool, views: int = 1, rays: bool = False
) -> Sequence[tuple[Stage, nn.Module]]:
    """The whole network, or with `split` its stages, first to last, if the model has several.

    The modules share their weights with the network; tensors go from stage to stage by the names
    of the stages' ports. A model of scenes is never whole.
    """
    model = network.model
    found: list[tuple[Stage, nn.Module]] = [(model.fused, network)]
    if model.split and (split or model.takes_scenes):
        stages = (*model.split, model.rays.stage) if rays and model.rays else model.split
        found = [(stage, network.stage(stage.name, views).eval()) for stage in stages]
    return [(_taking(stage, network.image_dtype), module) for stage, module in found]


def _taking(stage: Stage, dtype: str) -> Stage:
    """The stage with images in this dtype."""
    images = replace(IMAGES, dtype=dtype)
    return replace(stage, inputs=tuple(images if p == IMAGES else p for p in stage.inputs))


def _axes(stage: Stage) -> set[str]:
    """The letters of its ports."""
    ports = (*stage.inputs, *stage.outputs)
    return {axis for port in ports for axis in port.axes if not axis.isdigit()}


def _shape(stage: Stage, axes: str, letters: dict[str, int]) -> tuple[int, ...]:
    missing = [axis for axis in axes if not axis.isdigit() and axis not in letters]
    if missing:
        raise BuildError(
            f"stage {stage.name!r}: nothing before it says how large {', '.join(missing)} of its "
            f"axes {axes} is"
        )
    return tuple(int(axis) if axis.isdigit() else letters[axis] for axis in axes)


def _letters(stage: Stage, tensors: dict[str, Tensor], known: dict[str, int]) -> dict[str, int]:
    """What each letter of the stage's axes stands for."""
    letters = dict(known)
    for port in stage.outputs:
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
