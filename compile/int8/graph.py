"""Layers of an OpenVINO graph: those that int8 can have, and their way back to float."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

# A transposed convolution is not among them: OpenVINO runs it in float on a CPU, and its graph has
# lost our name of it.
LAYERS = ("Convolution", "MatMul")
_BETWEEN = ("Convert", "Reshape", "Transpose")  # between a constant and what it is the weight of
_MOVES = ("Reshape", "Transpose")  # NNCF may put a FakeQuantize in front of them


@dataclass(frozen=True)
class Layer:
    name: str  # of the module
    macs: int  # multiply-accumulates of one run


def layers_of(graph: Any) -> list[Layer]:
    """Every layer with weights, in the order of the graph."""
    return [Layer(module_of(node), _macs(node)) for node in with_weights(graph)]


def with_weights(graph: Any) -> Iterator[Any]:
    """The nodes of `layers_of`."""
    return (node for node in products(graph) if has_weights(node))


def products(graph: Any) -> Iterator[Any]:
    """Nodes of layers, and of products of activations."""
    return (node for node in graph.get_ordered_ops() if node.get_type_name() in LAYERS)


def has_weights(node: Any) -> bool:
    """Whether a product's second factor is constant."""
    source = node.input_value(1).get_node()
    while source.get_type_name() in _BETWEEN:
        source = source.input_value(0).get_node()
    return bool(source.get_type_name() == "Constant")


def module_of(node: Any) -> str:
    """/encoder/blocks.0/attn/qkv/MatMul is in the module encoder.blocks.0.attn.qkv.

    The name of a convolution with a bias ends with /Conv/WithoutBiases.
    """
    name: str = node.get_friendly_name()
    return name.removesuffix("/WithoutBiases").strip("/").rpartition("/")[0].replace("/", ".")


def restored(quantised: Any, graph: Any, names: Collection[str]) -> Any:
    """A copy of the quantised graph whose layers `names` compute as those of `graph`.

    What NNCF put in front of a layer is taken out, and the layer gets its own weights.
    """
    copy = quantised.clone()
    originals = {node.get_friendly_name(): node for node in with_weights(graph)}
    for node in products(copy):
        original = originals.get(node.get_friendly_name())
        if original is not None and module_of(node) in names:
            _bypass(node)
            node.input(1).replace_source_output(original.input_value(1))
    copy.validate_nodes_and_infer_types()
    return copy


def _bypass(node: Any) -> None:
    """Connect a layer to what is before the FakeQuantize and the multiply of SmoothQuant."""
    reader = node
    while True:
        source = reader.input_value(0)
        maker = source.get_node()
        if _of_nncf(maker):
            reader.input(0).replace_source_output(maker.input_value(0))
        elif maker.get_type_name() in _MOVES and len(source.get_target_inputs()) == 1:
            reader = maker
        else:
            return


def _of_nncf(node: Any) -> bool:
    return bool(
        node.get_type_name() == "FakeQuantize"
        or (node.get_type_name() == "Multiply" and "smooth_quant" in node.get_friendly_name())
    )


def _macs(node: Any) -> int:
    """Of one value a convolution multiplies all weights of a channel, a product its last axis."""
    values = math.prod(node.get_output_shape(0))
    if node.get_type_name() == "MatMul":
        return int(values * node.get_input_shape(0)[-1])
    return int(values * math.prod(node.get_input_shape(1)[1:]))
