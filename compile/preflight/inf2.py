"""What torch-neuronx makes of a node: XLA lowers nearly every operator, these excepted.

Sources: AWS Neuron SDK documentation of torch_neuronx, and its issue tracker for the resizes.
"""

from __future__ import annotations

from typing import Optional

from compile.graph import Node
from compile.preflight.findings import CONTROL_FLOW, FINE, Finding, doubtful, has_dtype, refused

_RESIZE = "a custom call that neuronx-cc refuses: {} does it as constant matrix products"
_SPLIT = "attention by split has given wrong numbers without a message: take slices"
_DATA = "the result's shape depends on the data, and every shape must be fixed: do it on the host"
_REFUSED = {
    "aten::upsample_bilinear2d": _RESIZE.format("pass `resize`"),
    "aten::_upsample_bilinear2d_aa": _RESIZE.format("write it so; pass `resize`"),
    "aten::upsample_bicubic2d": _RESIZE.format("baking the input (pass `position`), or writing it"),
    "aten::nonzero": _DATA,
    "aten::nonzero_numpy": _DATA,
    "aten::masked_select": _DATA,
    "aten::unique": _DATA,
    "aten::_unique2": _DATA,
    "aten::unique_dim": _DATA,
    "aten::unique_consecutive": _DATA,
    **CONTROL_FLOW,
}

_SPLITS = {"aten::chunk", "aten::split", "aten::split_with_sizes"}


def judge(node: Node) -> Finding:
    """Refuses operators by name, data-dependent shapes, splits and float64; passes all others."""
    if node.kind in _REFUSED:
        return refused(_REFUSED[node.kind])
    if (node.kind == "aten::where" and len(node.inputs) < 3) or _masks(node):
        return refused(_DATA)
    if node.kind == "prim::PythonOp":
        return doubtful("what it does is not in the graph: write it with operators")
    if node.kind in _SPLITS:
        return doubtful(_SPLIT)
    if has_dtype(node, "float64"):
        return refused("the device has no float64: make it float32")
    return FINE


def judge_port(dtype: Optional[str]) -> Finding:
    """A program's input or output, by its dtype."""
    return refused("no float64 in or out: cast to float32 outside") if dtype == "float64" else FINE


def _masks(node: Node) -> bool:
    """Whether a tensor is indexed by a mask: as many values as the mask has hits."""
    if node.kind != "aten::index":
        return False
    return any(item.dtype in ("bool", "uint8") for item in node.arguments["indices"].items)
