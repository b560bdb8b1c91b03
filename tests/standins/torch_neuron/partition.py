"""Which nodes of a graph go to the chip together, and the graph that calls them.

Nodes lie on levels: even ones run on the CPU, odd ones on the chip. A node is on the first level of
its kind that is not before any of its inputs, so a level needs only levels before it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Callable, Optional

import torch
from torch import Tensor

from torch_neuron.operators import STRUCTURE, UNPACKING, on_chip

Graph, Node, Value = Any, Any, Any  # torch._C types
Round = Callable[[Tensor], Tensor]


@dataclass
class Segment:
    """Nodes that run in one place, in order."""

    level: int
    nodes: list[Node] = field(default_factory=list)
    chosen: bool = False  # to be compiled

    @property
    def operators(self) -> list[str]:
        return [node.kind() for node in self.nodes if node.kind() not in UNPACKING]


def segments(graph: Graph, minimum: int, threshold: float) -> list[Segment]:
    """All segments in the order they run; `chosen` says which are to be compiled."""
    level: dict[str, int] = defaultdict(int)
    found: dict[int, Segment] = {}
    for node in graph.nodes():
        at = max((level[value.debugName()] for value in node.inputs()), default=0)
        if node.kind() not in STRUCTURE | UNPACKING:
            at += (at % 2 == 0) if on_chip(node) else at % 2
        for value in node.outputs():
            level[value.debugName()] = at
        if node.kind() not in STRUCTURE:
            found.setdefault(at, Segment(at)).nodes.append(node)
    ordered = [found[at] for at in sorted(found)]
    total = sum(len(segment.operators) for segment in ordered)
    candidates = [s for s in ordered if s.level % 2 and len(s.operators) >= minimum]
    large = [s for s in candidates if len(s.operators) > threshold * total]
    for segment in large or candidates:
        segment.chosen = True
    return ordered


def needed(nodes: list[Node]) -> list[Value]:
    """Values from outside that these nodes need, lists taken apart."""
    inside = {value.debugName() for node in nodes for value in node.outputs()}
    found: dict[str, Value] = {}
    for node in nodes:
        for value in node.inputs():
            found.update((v.debugName(), v) for v in _leaves(value) if v.debugName() not in inside)
    return list(found.values())


def results(graph: Graph, nodes: list[Node]) -> list[Value]:
    """Values of these nodes that others need."""
    mine = {value.debugName() for node in nodes for value in node.outputs()}
    others = [node for node in graph.nodes() if not set(_names(node)) & mine]
    used = {leaf.debugName() for node in others for v in node.inputs() for leaf in _leaves(v)}
    used |= {leaf.debugName() for v in graph.outputs() for leaf in _leaves(v)}
    return [v for node in nodes for v in node.outputs() if v.debugName() in used]


class Copy:
    """A new graph, filled with nodes of an old one."""

    def __init__(self, round_constant: Optional[Round] = None) -> None:
        self.graph = torch._C.Graph()
        self.values: dict[str, Value] = {}
        self._round = round_constant

    def take_input(self, value: Value) -> None:
        made = self.graph.addInput()
        made.setType(value.type())
        self.values[value.debugName()] = made

    def take(self, node: Node) -> None:
        for value in node.inputs():
            self._resolve(value)
        made = self.graph.createClone(node, lambda value: self.values[value.debugName()])
        self.graph.insertNode(made)
        for old, new in zip(node.outputs(), made.outputs()):
            self.values[old.debugName()] = new

    def call(self, inputs: list[Value], neff: bytes, outputs: list[Value]) -> None:
        """Let a compiled segment make these values."""
        tensors = torch._C.ListType.ofTensors()
        given = self._append("prim::ListConstruct", [self._resolve(v) for v in inputs], tensors)
        data = self.graph.insertConstant(torch.frombuffer(bytearray(neff), dtype=torch.uint8))
        found = self._append("neuron::forward_v2_1", [given, data], tensors)
        unpacked = self.graph.create("prim::ListUnpack", [found], len(outputs))
        self.graph.insertNode(unpacked)
        for old, new in zip(outputs, unpacked.outputs()):
            self.values[old.debugName()] = new

    def function(self, outputs: list[Value], as_list: bool) -> Any:
        found = [self._resolve(value) for value in outputs]
        if as_list:
            found = [self._append("prim::ListConstruct", found, torch._C.ListType.ofTensors())]
        self.graph.registerOutput(found[0])
        return torch._C._create_function_from_graph("forward", self.graph)

    def _append(self, kind: str, inputs: list[Value], kind_of_value: Any) -> Value:
        node = self.graph.create(kind, inputs, 1)
        self.graph.insertNode(node)
        node.output().setType(kind_of_value)
        return node.output()

    def _resolve(self, value: Value) -> Value:
        name = value.debugName()
        if name not in self.values:
            held = value.toIValue() if value.node().kind() == "prim::Constant" else None
            if isinstance(held, Tensor):
                held = self._round(held) if self._round else held
                self.values[name] = self.graph.insertConstant(held)
            else:
                self.take(value.node())
        return self.values[name]


def _leaves(value: Value) -> Iterator[Value]:
    """The value itself, or what a list or tuple is made of; nothing for constants."""
    if value.node().kind() not in STRUCTURE:
        yield value
    else:
        for part in value.node().inputs():
            yield from _leaves(part)


def _names(node: Node) -> Iterator[str]:
    return (value.debugName() for value in node.outputs())
