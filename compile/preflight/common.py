"""What no Neuron compiler takes, whichever the chip."""

from __future__ import annotations

from compile.preflight.graph import Node

CONTROL_FLOW = {
    kind: "control flow must be decided before tracing: no `if` or loop over tensor values"
    for kind in ("prim::If", "prim::Loop")
}


def has_dtype(node: Node, dtype: str) -> bool:
    """Whether the node makes a tensor of this dtype that is used. A wrapped number is no tensor."""
    return any(value.dtype == dtype and value.shape and value.used for value in node.outputs)
