"""Arithmetic on shapes inside a model of ONNX, done once: what is left has fixed sizes.

A model with open sides computes places and sizes from the shape of its input. Once the sides are
fixed, these numbers are constants. Only the operators named here are computed, and in numpy.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Callable, Optional

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Shapes = Mapping[str, tuple[Optional[int], ...]]  # by tensor; None: not known

_ROUNDS = 20  # each makes shapes known for the next one
_MOST_VALUES = 1 << 20  # of one result
_MOST_OF_ALL = 1 << 24
_ALIKE = ("Add", "Sub", "Mul", "Div", "Equal", "Where")  # results of the shape of all inputs
_MOVED = ("Cast", "Concat", "Constant", "Identity", "Reshape", "Slice", "Squeeze", "Transpose")
_FOLDED = (*_ALIKE, *_MOVED, "Unsqueeze", "ConstantOfShape", "Expand", "Gather", "Range")


def fold(
    model: Any,
    weights: Mapping[str, Array],
    shapes_of: Callable[[Any], Shapes],
    compute: Callable[[Any, Sequence[Array]], Array],
    stored: Callable[[Array, str], Any],
) -> None:
    """Replace nodes whose inputs are known by their results, until there are no more.

    weights    the small weights by name
    shapes_of  the shapes of the model's tensors, as far as they follow
    compute    the result of a node; whatever it raises leaves the node as it is
    stored     numbers as a tensor of a name
    """
    known, room = dict(weights), _MOST_OF_ALL
    for _ in range(_ROUNDS):
        shapes, kept = shapes_of(model), []
        for node in model.graph.node:
            result = _result(node, known, shapes, compute)
            if result is None or result.size > room:
                kept.append(type(node).FromString(node.SerializeToString()))
                continue
            room -= result.size
            known[node.output[0]] = result
        if len(kept) == len(model.graph.node):
            break
        del model.graph.node[:]
        model.graph.node.extend(kept)
        _store(model.graph, weights, known, stored)


def _store(
    graph: Any,
    weights: Mapping[str, Array],
    known: Mapping[str, Array],
    stored: Callable[[Array, str], Any],
) -> None:
    """Results that a node still needs become weights."""
    used = {name for node in graph.node for name in node.input}
    used |= {value.name for value in graph.output}
    there = {tensor.name for tensor in graph.initializer}
    for name in sorted((known.keys() - weights.keys() - there) & used):
        graph.initializer.append(stored(known[name], name))
    unused = [tensor for tensor in graph.initializer if tensor.name not in used]
    for tensor in unused:
        graph.initializer.remove(tensor)


def _result(
    node: Any,
    known: Mapping[str, Array],
    shapes: Shapes,
    compute: Callable[[Any, Sequence[Array]], Array],
) -> Optional[Array]:
    if len(node.output) != 1:
        return None
    if node.op_type == "Shape":
        name = node.input[0]
        shape = known[name].shape if name in known else shapes.get(name, (None,))
        ends = {attribute.name: attribute.i for attribute in node.attribute}
        part = shape[ends.get("start", 0) : ends.get("end", len(shape))]
        return None if None in shape else np.array(part, np.int64)
    if node.op_type not in _FOLDED or not all(name in known for name in node.input):
        return None
    inputs = [known[name] for name in node.input]
    try:
        if not 0 <= _values(node.op_type, inputs) <= _MOST_VALUES:
            return None
        result = np.asarray(compute(node, inputs))
    except Exception:  # of what a file of others asks numpy for; checks and runtimes say more
        return None
    return result if result.size <= _MOST_VALUES else None


def _values(kind: str, inputs: Sequence[Array]) -> int:
    """How many values the result has at most, before there is room for it."""
    if kind in _ALIKE:
        return math.prod(np.broadcast_shapes(*(values.shape for values in inputs)))
    if kind == "ConstantOfShape":
        return math.prod(map(int, inputs[0]))
    if kind == "Expand":
        return inputs[0].size * math.prod(map(int, inputs[1]))
    if kind == "Gather":
        return inputs[0].size * inputs[1].size
    if kind == "Range":
        start, stop, step = (values.item() for values in inputs)
        return math.ceil((stop - start) / step)
    return sum(values.size for values in inputs)
