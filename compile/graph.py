"""A traced program as plain records: what the rules and the memory estimate need to know of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import reduce
from math import prod
from typing import Any, Optional

import torch
from torch import Tensor

UNKNOWN = object()  # the literal of a value that is computed; None is a literal
PARAMETER = "prim::GetAttr"
CONSTANT = "prim::Constant"
LIST = "prim::ListConstruct"
TUPLE = "prim::TupleConstruct"
CALL = "prim::CallFunction"


@dataclass(frozen=True)
class Value:
    name: str
    producer: str  # kind of the node that makes it; "prim::Param" for a program's input
    dtype: Optional[str] = None  # "float32"; None if it is no tensor or the trace does not say
    shape: Optional[tuple[int, ...]] = None
    literal: Any = UNKNOWN
    used: bool = True
    items: tuple[Value, ...] = ()  # of a list

    @property
    def size_bytes(self) -> int:
        """Bytes of a tensor as traced; 0 if it is none or its shape is not known."""
        if self.dtype is None or self.shape is None:
            return 0
        return prod(self.shape) * width_bytes(self.dtype)


@dataclass(frozen=True)
class Node:
    kind: str  # "aten::softmax"
    path: str  # of the module whose forward made it: "encoder.blocks.0.attn"; "" for the whole
    inputs: tuple[Value, ...] = ()
    outputs: tuple[Value, ...] = ()
    arguments: Mapping[str, Value] = field(default_factory=dict)  # inputs by the schema's names

    def literal(self, name: str) -> Any:
        """The value of an argument that is fixed in the graph, else UNKNOWN."""
        return self.arguments[name].literal if name in self.arguments else UNKNOWN


@dataclass(frozen=True)
class Constant:
    """A tensor that is part of the program."""

    name: str  # "encoder.patch_embed.weight"
    dtype: str
    elements: int

    @property
    def size_bytes(self) -> int:
        return self.elements * width_bytes(self.dtype)


@dataclass(frozen=True)
class Graph:
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    nodes: tuple[Node, ...]
    constants: tuple[Constant, ...]


def width_bytes(dtype: str) -> int:
    """Bytes of one element of a torch dtype, by name."""
    return int(torch.empty((), dtype=getattr(torch, dtype)).element_size())


def read_graph(traced: torch.jit.ScriptModule) -> Graph:
    """The inlined graph of a traced module, blocks of control flow included."""
    return _Reader(traced).read()


class _Reader:
    def __init__(self, traced: torch.jit.ScriptModule) -> None:
        self.traced = traced
        self.values: dict[str, Value] = {}
        self.constants: dict[str, Constant] = {}

    def read(self) -> Graph:
        inlined = self.traced.inlined_graph
        inputs = tuple(self._value(v) for v in list(inlined.inputs())[1:])  # the first is `self`
        nodes = tuple(self._node(node) for node in _walk(inlined))
        outputs = tuple(
            self.values[output.debugName()] for v in inlined.outputs() for output in _unpacked(v)
        )
        calls = tuple(_function_calls(self.traced))
        return Graph(inputs, outputs, nodes + calls, tuple(self.constants.values()))

    def _node(self, node: Any) -> Node:
        inputs = tuple(self._value(v) for v in node.inputs())
        outputs = tuple(self._value(v) for v in node.outputs())
        names: list[str] = []
        if node.kind().startswith("aten::"):
            names = [argument.name for argument in torch._C.parse_schema(node.schema()).arguments]
        path = _path(node.scopeName())
        if node.kind() == PARAMETER and outputs[0].shape:
            path = ".".join(_attribute_path(node))  # it has no scope, and its name says more
        return Node(node.kind(), path, inputs, outputs, dict(zip(names, inputs)))

    def _value(self, value: Any) -> Value:
        name = value.debugName()
        if name not in self.values:
            self.values[name] = self._read_value(value)
        return self.values[name]

    def _read_value(self, value: Any) -> Value:
        name, node = value.debugName(), value.node()
        made = Value(name, node.kind(), *_tensor_type(value), used=bool(value.uses()))
        if node.kind() == CONSTANT:
            content = value.toIValue()
            if isinstance(content, Tensor):
                return self._constant(made, f"constant {name}", content)
            return Value(name, CONSTANT, literal=content, used=made.used)
        if node.kind() == PARAMETER and value.type().kind() == "TensorType":
            path = _attribute_path(node)
            content = reduce(getattr, path, self.traced)
            if isinstance(content, Tensor):
                return self._constant(made, ".".join(path), content)
        if node.kind() == LIST:
            items = tuple(self._value(v) for v in node.inputs())
            literals = tuple(item.literal for item in items)
            known = all(literal is not UNKNOWN for literal in literals)
            return Value(
                name, LIST, literal=literals if known else UNKNOWN, used=made.used, items=items
            )
        return made

    def _constant(self, made: Value, name: str, content: Tensor) -> Value:
        dtype, shape = str(content.dtype).replace("torch.", ""), tuple(content.shape)
        if shape:  # without dimensions it is a Python number that the tracer wrapped
            self.constants[name] = Constant(name, dtype, content.numel())
        return Value(made.name, made.producer, dtype, shape, used=made.used)


def _walk(block: Any) -> Iterator[Any]:
    for node in block.nodes():
        yield node
        for inner in node.blocks():
            yield from _walk(inner)


def _unpacked(value: Any) -> Iterator[Any]:
    """A program's output, or the tensors of a tuple or list that it returns."""
    if value.node().kind() in (LIST, TUPLE):
        for item in value.node().inputs():
            yield from _unpacked(item)
    else:
        yield value


def _function_calls(traced: torch.jit.ScriptModule) -> Iterator[Node]:
    """Calls of scripted functions: inlining hides them, torch-neuron sees them."""
    for path, module in traced.named_modules():
        own: Any = module
        if own._c._has_method("forward"):
            yield from (Node(CALL, path) for node in _walk(own.graph) if node.kind() == CALL)


def _tensor_type(value: Any) -> tuple[Optional[str], Optional[tuple[int, ...]]]:
    kind = value.type()
    if kind.kind() != "TensorType" or kind.dtype() is None or kind.sizes() is None:
        return None, None
    return str(kind.dtype()).replace("torch.", ""), tuple(kind.sizes())


def _attribute_path(node: Any) -> list[str]:
    """["encoder", "norm", "weight"]: the attributes from the module down to this one."""
    path = [node.s("name")]
    source = node.input().node()
    while source.kind() == PARAMETER:
        path.insert(0, source.s("name"))
        source = source.input().node()
    return path


def _path(scope: str) -> str:
    """`__module.encoder/__module.encoder.norm` is encoder.norm."""
    return scope.split("/")[-1].replace("__module.", "").replace("__module", "")
