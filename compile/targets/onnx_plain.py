"""A model of ONNX made plain before it is judged: its sides fixed, float32 for its float16.

Only the model's record is changed; nothing of it runs.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from itertools import chain
from typing import Any, Optional

import numpy as np

from depth.errors import InputError
from depth.sizes import Size, size_text

FLOAT, FLOAT16 = 1, 10  # ONNX's numbers of types
_TYPES = ("to", "dtype")  # attributes that hold such a number
_CHANNELS = 3


def _has_open_sides(model: Any) -> bool:
    """Whether the model has one input of images, without a fixed height or width."""
    value = _images(model)
    return value is not None and not all(
        side.HasField("dim_value") for side in value.type.tensor_type.shape.dim[2:]
    )


def fix_sides(model: Any, size: Optional[Size]) -> str:
    """Fix the open axes of an input [B,C,H,W]: one image, three channels, (height, width) px.

    Returns what was done, "" for nothing. Shapes that the file states for tensors inside go, since
    they follow from the input's.
    """
    value = _images(model)
    if value is None:
        return ""
    sides = value.type.tensor_type.shape.dim
    fixed = [side for side in sides if not side.HasField("dim_value")]
    wanted = (1, _CHANNELS, *(size or (None, None)))
    for side, number in zip(sides, wanted):
        if not side.HasField("dim_value") and number is not None:
            side.dim_value = number
    if not fixed or _has_open_sides(model):
        return ""
    del model.graph.value_info[:]
    return "sides=" + size_text((sides[2].dim_value, sides[3].dim_value))


def widen(model: Any) -> str:
    """Store float16 as float32, and compute in it. Returns what was done, "" for nothing.

    Raises InputError for weights that are cut short.
    """
    graph = model.graph
    places = [
        (value.type.tensor_type, "elem_type")
        for value in chain(graph.input, graph.output, graph.value_info)
    ]
    places += [
        (attribute, "i")
        for node in graph.node
        for attribute in node.attribute
        if attribute.name in _TYPES
    ]
    found = [place for place in places if getattr(*place) == FLOAT16]
    tensors = [tensor for tensor in _tensors(graph) if tensor.data_type == FLOAT16]
    for place, field in found:
        setattr(place, field, FLOAT)
    for tensor in tensors:
        _widen_tensor(tensor)
    return "float16=float32" if found or tensors else ""


def sort_nodes(model: Any) -> str:
    """Each node behind those that give its inputs. Returns what was done, "" for nothing.

    The converter of ONNX Runtime to float16 leaves nodes in another order, which ONNX forbids.
    """
    graph = model.graph
    made_by = {name: i for i, node in enumerate(graph.node) for name in node.output if name}
    waits_for = [{made_by[name] for name in node.input if name in made_by} for node in graph.node]
    if all(i > max(before, default=-1) for i, before in enumerate(waits_for)):
        return ""
    try:
        order = list(TopologicalSorter(dict(enumerate(waits_for))).static_order())
    except CycleError:
        return ""  # the check of the file says so
    nodes = [type(node).FromString(node.SerializeToString()) for node in graph.node]
    del graph.node[:]
    graph.node.extend(nodes[i] for i in order)
    return "nodes=sorted"


def _tensors(graph: Any) -> Iterator[Any]:
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors


def _widen_tensor(tensor: Any) -> None:
    """Its bytes, or its bits as whole numbers: ONNX allows both. Raises InputError if some lack."""
    raw = tensor.raw_data or np.array(tensor.int32_data, np.int32).astype("<u2").tobytes()
    if len(raw) != 2 * math.prod(tensor.dims):
        raise InputError(
            f"float16 of {tensor.name!r} has {len(raw)} bytes, expected "
            f"{2 * math.prod(tensor.dims)}; export it again"
        )
    tensor.ClearField("int32_data")
    tensor.raw_data = np.frombuffer(raw, "<f2").astype("<f4").tobytes()
    tensor.data_type = FLOAT


def _images(model: Any) -> Any:
    """The only input that is no weight, if it has four axes."""
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in weights]
    four = len(inputs) == 1 and len(inputs[0].type.tensor_type.shape.dim) == 4
    return inputs[0] if four else None
