"""Device memory, estimated from the traced graph: no compiler has laid anything out yet.

Counted: weights and constants, and the largest sum of activations that are alive at one time, in
the order of the graph. Not counted: the program's code, what the compiler keeps on chip or holds
twice, and the runtime's own buffers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from compile.graph import CONSTANT, LIST, PARAMETER, TUPLE, Graph, Node, Value
from compile.targets.modes import BF16, FP16, FP32, TF32, Mode, modes_of

_WIDTH_BYTES = {FP32: 4, TF32: 4, FP16: 2, BF16: 2}

# Results that are another look at their input, or a bundle of tensors: no memory of their own.
_VIEWS = {LIST, TUPLE, "prim::ListUnpack", "prim::TupleUnpack"}
_VIEWS |= {"aten::chunk", "aten::split", "aten::split_with_sizes", "aten::unbind"}
_VIEWS |= {"aten::select", "aten::slice", "aten::expand", "aten::detach", "aten::contiguous"}
_VIEWS |= {"aten::reshape", "aten::view", "aten::flatten", "aten::squeeze", "aten::unsqueeze"}
_VIEWS |= {"aten::permute", "aten::transpose", "aten::t", "aten::dropout"}


@dataclass(frozen=True)
class Footprint:
    """One copy of one program on one core, in bytes; an estimate, without the program's code."""

    mode: str
    weights_bytes: int
    activations_bytes: int
    peak_at: str  # the operator and module where the activations are largest
    input_bytes: int  # per image
    output_bytes: int  # per image

    @property
    def total_bytes(self) -> int:
        return self.weights_bytes + self.activations_bytes


def widest_mode(target: str) -> Mode:
    """The target's mode that needs most memory: the estimate's mode until the user chooses.

    Of equal modes the slowest, which rounds least.
    """

    def need(mode: Mode) -> tuple[int, ...]:
        widths = _weight_width(mode), _activation_width(mode), _WIDTH_BYTES[mode.io]
        return (*widths, mode.speed_rank)

    return max(modes_of(target), key=need)


def footprint(graph: Graph, mode: Mode) -> Footprint:
    """Weights at the width of the mode's matrix products, activations at that of the rest."""
    weights = sum(
        constant.elements * _weight_width(mode)
        if constant.dtype == "float32"
        else constant.size_bytes
        for constant in graph.constants
    )
    largest, at = _peak(graph, _activation_width(mode))
    batch = next((v.shape[0] for v in graph.inputs if v.shape), 1)
    into, out = (
        sum(_bytes(value, _WIDTH_BYTES[mode.io]) for value in values) // batch
        for values in (graph.inputs, graph.outputs)
    )
    return Footprint(mode.name, weights, largest, at, into, out)


def _weight_width(mode: Mode) -> int:
    return _WIDTH_BYTES[mode.matmul]


def _activation_width(mode: Mode) -> int:
    return _WIDTH_BYTES[mode.everything or FP32]


def _bytes(value: Value, float_width: int) -> int:
    return value.size_bytes * float_width // 4 if value.dtype == "float32" else value.size_bytes


def _peak(graph: Graph, float_width: int) -> tuple[int, str]:
    """The most bytes that are alive after any node, and that node in words.

    A tensor is alive from the node that makes it to the last node that uses it or a view of it;
    the program's outputs stay alive to the end. With tensors of one size and the output (b, e):

        node               alive after it
        a = mul(x)         x a
        b = relu(a)        x a b
        c = transpose(b)   x b        a view of b takes nothing
        d = add(x, c)      x b d
        e = relu(d)        b d e      x is free after its last use, b is an output
    """
    owners = _owners(graph)
    last_use = _last_uses(graph, owners)
    sizes = {value.name: _bytes(value, float_width) for value in graph.inputs}
    alive, largest, at = sum(sizes.values()), 0, ""
    for index, node in enumerate(graph.nodes):
        for value in _made(node):
            sizes[value.name] = _bytes(value, float_width)
            alive += sizes[value.name]
        if alive > largest:
            largest, at = alive, f"{node.kind} in {node.path or 'the network'}"
        for name in last_use.get(index, ()):
            alive -= sizes.pop(name, 0)
    return largest, at


def _made(node: Node) -> Sequence[Value]:
    """What a node allocates."""
    return () if node.kind in _VIEWS or node.kind in (CONSTANT, PARAMETER) else node.outputs


def _owners(graph: Graph) -> dict[str, frozenset[str]]:
    """For each value the tensors whose memory it shows."""
    owners = {value.name: frozenset({value.name}) for value in graph.inputs}
    for node in graph.nodes:
        sources = node.inputs if node.kind in (LIST, TUPLE) else node.inputs[:1]
        shared = frozenset[str]().union(*(owners.get(v.name, frozenset()) for v in sources))
        own = {value.name for value in _made(node)}
        for value in node.outputs:
            owners[value.name] = frozenset({value.name}) if value.name in own else shared
    return owners


def _last_uses(graph: Graph, owners: Mapping[str, frozenset[str]]) -> dict[int, list[str]]:
    """Index of a node: the tensors that nobody needs after it. Those of the output stay."""
    last: dict[str, int] = {}
    for index, node in enumerate(graph.nodes):
        for value in (*node.inputs, *node.outputs):
            for owner in owners.get(value.name, ()):
                last[owner] = index
    for value in graph.outputs:
        for owner in owners.get(value.name, ()):
            last.pop(owner, None)
    found: dict[int, list[str]] = {}
    for name, index in last.items():
        found.setdefault(index, []).append(name)
    return found
