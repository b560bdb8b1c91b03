"""What torch-neuron and neuron-cc make of a node: the list of operators, then their arguments.

The list knows names only. These rules add what is known of arguments, from the AWS Neuron SDK
documentation (release notes of torch-neuron and neuron-cc), from its issue tracker and from
published compiler logs. Where nothing shows that a form compiles, the verdict is doubtful.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from math import inf
from pathlib import Path
from typing import Optional

from compile.graph import UNKNOWN, Node
from compile.preflight.findings import (
    CONTROL_FLOW,
    FINE,
    Finding,
    Rule,
    doubtful,
    has_dtype,
    refused,
)

# Operators whose result is a part of their input: writing to it breaks torch-neuron's rewriting.
_PARTS = {"aten::select", "aten::slice", "prim::ListUnpack"}
_RESIZE = "two constant matrix products; the pass `resize` does it"
_NORMS = (1, 2, inf, -inf, "fro")


def judge(node: Node) -> Finding:
    """The finding of the first rule that has one; without a rule, of the list of operators."""
    for rule in (_in_place, _arguments, _wide_dtype):
        finding = rule(node)
        if finding is not None:
            return finding
    return _listed(node)


def judge_port(dtype: Optional[str]) -> Finding:
    """A program's input or output, by its dtype."""
    if dtype in ("int64", "float64"):
        return refused(f"neuron-cc takes no {dtype} in or out: cast to {_narrow(dtype)} outside")
    return FINE


def _listed(node: Node) -> Finding:
    known = inf1_operators()
    if node.kind in known.supported or node.kind in known.conditional:
        return FINE  # the conditions are among the rules
    if node.kind in known.seen_compiled:
        return doubtful("compiled in a published log, but on no list")
    plain = node.kind.rstrip("_")
    if plain in known.instead or plain == node.kind:
        return refused(known.instead.get(plain, "not on the list: write it with listed operators"))
    return refused(f"{plain} without the underscore: the in-place form is not on the list")


def _in_place(node: Node) -> Optional[Finding]:
    if not node.kind.endswith("_") or node.kind.endswith("__") or not node.inputs:
        return None
    if node.inputs[0].producer in _PARTS:
        return refused("writes into a part of a tensor: build the whole with cat or where")
    return None


def _arguments(node: Node) -> Optional[Finding]:
    rule = _RULES.get(node.kind)
    return rule(node) if rule else None


def _wide_dtype(node: Node) -> Optional[Finding]:
    for dtype in ("float64", "int64"):
        if has_dtype(node, dtype):
            return doubtful(f"{dtype} inside the graph: make it {_narrow(dtype)}")
    return None


def _narrow(dtype: str) -> str:
    return {"float64": "float32", "int64": "int32"}[dtype]


def _bilinear(node: Node) -> Finding:
    if node.literal("align_corners") is not False:
        return refused(f"align_corners=True is not implemented: {_RESIZE}")
    if _whole_scale(node):
        return doubtful(f"seen to compile at scale 2 only, as a dense convolution: {_RESIZE}")
    return refused(f"no scale but a whole number is known to compile: {_RESIZE}")


def _nearest(node: Node) -> Optional[Finding]:
    if _whole_scale(node):
        return None
    return doubtful("no scale but a whole number is known to compile: a constant matrix product")


def _whole_scale(node: Node) -> bool:
    before, after = node.inputs[0].shape, node.outputs[0].shape
    if before is None or after is None:
        return False
    return all(big % small == 0 for small, big in zip(before[2:], after[2:]))


def _extremum(node: Node) -> Optional[Finding]:
    if node.inputs[0].dtype == "int64" and node.literal("dim") == 0:
        return refused("int64 along dimension 0 is not supported: cast to int32 or float32")
    return _index_output(node)


def _index_output(node: Node) -> Optional[Finding]:
    if node.outputs[-1].dtype == "int64" and node.outputs[-1].used:
        return doubtful("indices depend on the rounding of the compiler: find them on the host")
    return None


def _pool3d(node: Node) -> Optional[Finding]:
    return refused("supported only if its indices are not used") if node.outputs[1].used else None


def _topk(node: Node) -> Optional[Finding]:
    return refused("k must be fixed in the graph") if node.literal("k") is UNKNOWN else None


def _one_hot(node: Node) -> Optional[Finding]:
    if node.literal("num_classes") in (UNKNOWN, -1):
        return refused("num_classes must be fixed in the graph")
    return None


def _norm(node: Node) -> Optional[Finding]:
    power = 2 if node.literal("p") is None else node.literal("p")
    return None if power in _NORMS else refused("p must be 1, 2, inf, -inf or 'fro'")


def _avg_pool(node: Node) -> Optional[Finding]:
    padding = node.literal("padding")
    if node.literal("ceil_mode") is not False and (padding is UNKNOWN or any(padding)):
        return refused("ceil_mode together with padding is not supported")
    return None


def _where(node: Node) -> Optional[Finding]:
    return (
        refused("give all three arguments: the indices' shape depends on the data")
        if (len(node.inputs) < 3)
        else None
    )


def _gelu(node: Node) -> Optional[Finding]:
    if node.literal("approximate") in ("none", UNKNOWN):
        return None
    return doubtful("only the exact form, approximate='none', is documented")


def _always(finding: Finding) -> Rule:
    return lambda _: finding


_LSTM = doubtful("compiles in the documented LSTM patterns only")
_RULES: dict[str, Rule] = {
    "aten::_pack_padded_sequence": _always(_LSTM),
    "aten::_pad_packed_sequence": _always(_LSTM),
    "aten::argmax": _index_output,
    "aten::argmin": _index_output,
    "aten::avg_pool2d": _avg_pool,
    "aten::gelu": _gelu,
    "aten::lstm": _always(_LSTM),
    "aten::max": _extremum,
    "aten::max_pool3d_with_indices": _pool3d,
    "aten::min": _extremum,
    "aten::norm": _norm,
    "aten::one_hot": _one_hot,
    "aten::pad": _always(doubtful("torch.constant_pad_nd, cat with zeros, or conv padding")),
    "aten::size": _always(
        doubtful("left on the CPU it breaks batching: write the size as a Python int")
    ),
    "aten::topk": _topk,
    "aten::upsample_bilinear2d": _bilinear,
    "aten::upsample_nearest2d": _nearest,
    "aten::where": _where,
    "prim::CallFunction": _always(refused("a scripted function: write it into forward")),
    "prim::PythonOp": _always(refused("it always runs on the CPU: write it with operators")),
    **{kind: _always(refused(remedy)) for kind, remedy in CONTROL_FLOW.items()},
}


_FILE = Path(__file__).with_name("inf1_operators.json")


@dataclass(frozen=True)
class Operators:
    supported: frozenset[str]  # the name is listed
    conditional: frozenset[str]  # listed with conditions only: some forms compile
    seen_compiled: frozenset[str]  # not listed, yet compiled in a published log
    instead: Mapping[str, str]  # operator that is not listed: what to write for it


@cache
def inf1_operators() -> Operators:
    """The list for torch-neuron 1.13.1; the data file names its source."""
    data = json.loads(_FILE.read_text(encoding="utf-8"))
    return Operators(
        frozenset(data["supported"]),
        frozenset(data["conditional"]),
        frozenset(data["seen_compiled"]),
        data["instead"],
    )
