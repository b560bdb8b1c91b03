"""Small networks of our own in the layout of YOLOv8 segmentation, which find coloured rectangles.

A cell scores a class by its mean colour: red, green or blue. Its box is 48 px and more around the
cell, and the prototype of each class is positive where the colour is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Optional

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from depth.steps.instances import STRIDES, cells_of

SIZE = (64, 96)
NAMES = ("red", "green", "blue")
METADATA = {
    "task": "segment",
    "stride": "32",
    "imgsz": "[64, 96]",
    "names": "{0: 'red', 1: 'green', 2: 'blue'}",
    "license": "our own",
}
PROTOTYPES = 32
_SHARP = 30.0


def write_network(
    path: Path,
    metadata: Optional[Mapping[str, str]] = None,
    size: tuple[int, int] = SIZE,
    tamper: Any = None,
    prototypes: int = PROTOTYPES,
) -> Path:
    """Write the network; `tamper` may change the model before it is written."""
    model = network(METADATA if metadata is None else metadata, size, prototypes)
    if tamper is not None:
        tamper(model)
    onnx.save_model(model, str(path))
    return path


def network(
    metadata: Mapping[str, str], size: tuple[int, int] = SIZE, prototypes: int = PROTOTYPES
) -> Any:
    """The model: [1,3,H,W] to `output0` [1,4+3+32,N] and `output1` [1,32,H/4,W/4]; or with another
    number of prototypes than 32.
    """
    colours = 1.5 * np.eye(3, dtype=np.float32) - 0.5  # each against the mean of the others
    rng = np.random.default_rng(0)
    more = rng.normal(0, 1, (prototypes - 3, 3)).astype(np.float32)
    graph = _Graph()
    score = graph.conv(_SHARP * colours, np.full(3, -_SHARP / 2, np.float32))
    proto = graph.conv(np.concatenate([colours, more]), np.full(prototypes, -0.5, np.float32))
    choose = graph.conv(np.eye(prototypes, 3, dtype=np.float32), np.zeros(prototypes, np.float32))
    sides = np.zeros((4, 3), np.float32)
    sides[2:] = 4  # wider where it is brighter, so that boxes depend on the image
    box = graph.conv(sides, np.zeros(4, np.float32))
    rows = [_rows(graph, stride, size, (score, choose, box)) for stride in STRIDES]
    graph.node("Concat", rows, "output0", axis=2)
    small = graph.node("AveragePool", ["images"], "", kernel_shape=[4, 4], strides=[4, 4])
    graph.node("Conv", [small, *proto], "output1")
    count = 4 + len(NAMES) + prototypes
    made = helper.make_graph(
        graph.nodes,
        "rectangles",
        [_value("images", (1, 3, *size))],
        [
            _value("output0", (1, count, cells_of(size))),
            _value("output1", (1, prototypes, size[0] // 4, size[1] // 4)),
        ],
        graph.weights,
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    for key, text in metadata.items():
        model.metadata_props.add(key=key, value=text)
    return model


class _Graph:
    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.weights: list[Any] = []

    def node(self, kind: str, inputs: Sequence[str], output: str = "", **attributes: Any) -> str:
        output = output or f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def constant(self, values: Any) -> str:
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(values, name))
        return name

    def conv(self, weight: Any, bias: Any) -> tuple[str, str]:
        return self.constant(weight[:, :, np.newaxis, np.newaxis]), self.constant(bias)


def _rows(graph: _Graph, stride: int, size: tuple[int, int], convs: Any) -> str:
    """[1,4+3+32,cells] of one stride."""
    score, choose, box = convs
    height, width = size[0] // stride, size[1] // stride
    sides = [stride, stride]
    mean = graph.node("AveragePool", ["images"], kernel_shape=sides, strides=sides)
    scores = graph.node("Sigmoid", [graph.node("Conv", [mean, *score])])
    coefficients = graph.node("Conv", [scores, *choose])
    across, down = np.meshgrid(
        (np.arange(width) + 0.5) * stride, (np.arange(height) + 0.5) * stride
    )
    fixed = np.stack([across, down, 0 * across + 48, 0 * down + 48])[np.newaxis]
    place = graph.constant(fixed.astype(np.float32))
    boxes = graph.node("Add", [graph.node("Conv", [mean, *box]), place])
    whole = graph.node("Concat", [boxes, scores, coefficients], axis=1)
    shape = graph.constant(np.array([1, -1, height * width], np.int64))
    return graph.node("Reshape", [whole, shape])


def _value(name: str, shape: tuple[int, ...]) -> Any:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape))


def opened(model: Any) -> None:
    """Leave the batch and the sides open, as an export with dynamic axes: shapes are computed."""
    graph = model.graph
    graph.input[0].type.tensor_type.shape.CopyFrom(_named("batch", 3, "height", "width"))
    rows, count = (output.type.tensor_type.shape.dim[1].dim_value for output in graph.output)
    graph.output[0].type.tensor_type.shape.CopyFrom(_named("batch", rows, "cells"))
    graph.output[1].type.tensor_type.shape.CopyFrom(_named("batch", count, "small", "narrow"))
    graph.initializer.append(numpy_helper.from_array(np.array([0], np.int64), "first"))
    graph.initializer.append(numpy_helper.from_array(np.array([-1], np.int64), "rest"))
    start = [
        helper.make_node("Shape", ["images"], ["shape"]),
        helper.make_node("Gather", ["shape", "first"], ["batch"]),
    ]
    for i, node in enumerate(list(graph.node)):
        if node.op_type == "Reshape":
            start.append(helper.make_node("Shape", [node.input[0]], [f"rows{i}"]))
            start.append(helper.make_node("Slice", [f"rows{i}", *"ab"], [f"count{i}"]))
            start.append(
                helper.make_node("Concat", ["batch", f"count{i}", "rest"], [f"to{i}"], axis=0)
            )
            node.input[1] = f"to{i}"
        start.append(node)
    for name, number in (("a", 1), ("b", 2)):
        graph.initializer.append(numpy_helper.from_array(np.array([number], np.int64), name))
    _replace_nodes(graph, start)


def halved(model: Any) -> None:
    """Store and compute float16, also at the input and the outputs."""
    graph = model.graph
    for weight in graph.initializer:
        if weight.data_type == TensorProto.FLOAT:
            values = numpy_helper.to_array(weight).astype(np.float16)
            weight.CopyFrom(numpy_helper.from_array(values, weight.name))
    for value in (*graph.input, *graph.output):
        value.type.tensor_type.elem_type = TensorProto.FLOAT16


def halved_inside(model: Any) -> None:
    """The same between casts: the input and the outputs stay float32."""
    halved(model)
    graph = model.graph
    for value in (*graph.input, *graph.output):
        value.type.tensor_type.elem_type = TensorProto.FLOAT
    nodes = list(graph.node)
    for node in nodes:
        for names in (node.input, node.output):
            for i, name in enumerate(names):
                names[i] = {"images": "half", "output0": "half0", "output1": "half1"}.get(
                    name, name
                )
    casts = [
        helper.make_node("Cast", [f"half{i}"], [f"output{i}"], to=TensorProto.FLOAT) for i in (0, 1)
    ]
    first = helper.make_node("Cast", ["images"], ["half"], to=TensorProto.FLOAT16)
    _replace_nodes(graph, [first, *nodes, *casts])


def _replace_nodes(graph: Any, nodes: Sequence[Any]) -> None:
    copies = [type(node).FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(copies)


def _named(*sides: Any) -> Any:
    return helper.make_tensor_type_proto(TensorProto.FLOAT, list(sides)).tensor_type.shape
