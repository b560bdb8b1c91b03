"""What a trace holds: the same few operators at every size, on every torch, and no leftovers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from compile.errors import BuildError
from compile.targets.protocols import Part
from compile.trace import export_onnx, trace
from depth_anything_v2.config import CONFIGS
from depth_anything_v2.network import DepthAnything
from tests.support.models import TINY, TINY_GIANT, TINY_MODEL, network, untrained
from tests.support.places import ROOT

SIZES = [(518, 518), (518, 686), (686, 518)]
# Written out, so that both versions of torch are held to the same set.
OPERATORS = {
    "aten::_convolution",
    "aten::add",
    "aten::constant_pad_nd",
    "aten::flatten",
    "aten::gelu",
    "aten::layer_norm",
    "aten::linear",
    "aten::matmul",
    "aten::mul",
    "aten::relu",
    "aten::reshape",
    "aten::slice",
    "aten::softmax",
    "aten::squeeze",
    "aten::transpose",
    "aten::upsample_bilinear2d",
}
STRUCTURE = {
    "prim::Constant",
    "prim::GetAttr",
    "prim::ListConstruct",
    "prim::TupleConstruct",
    "prim::TupleUnpack",
}
NEURON_OPERATORS = ROOT.parent / "shared/reference/inf1_supported_ops.json"
# Listed by torch-neuron, and refused with align_corners=True: a later step replaces it.
REPLACED_LATER = {"aten::upsample_bilinear2d"}


def kinds(made: DepthAnything) -> set[str]:
    graph = trace(made, (torch.zeros(1, 3, *made.fixed_size),)).inlined_graph
    return {node.kind() for node in graph.nodes()}


@pytest.fixture(scope="module")
def vits() -> DepthAnything:
    few = replace(CONFIGS["vits"], depth=4, taps=(0, 1, 2, 3))  # more blocks are only more time
    return untrained(few).eval().requires_grad_(False)


@pytest.mark.parametrize(
    "size",
    [SIZES[0], *(pytest.param(size, marks=pytest.mark.long) for size in SIZES[1:])],
    ids=str,
)
def test_a_trace_holds_only_these_operators(vits: DepthAnything, size: tuple[int, int]) -> None:
    # Warnings are errors in every test, so a tracer warning fails this one.
    vits.fix_size(*size)
    assert kinds(vits) == OPERATORS | STRUCTURE


def test_the_set_has_no_shape_arithmetic_no_bicubic_and_nothing_in_place() -> None:
    assert not [name for name in OPERATORS if name.endswith("_") or "bicubic" in name]
    computed = {"aten::size", "aten::Int", "aten::floor_divide", "aten::ScalarImplicit"}
    assert not OPERATORS & {*computed, "aten::pad", "aten::index"}
    assert not STRUCTURE & {"prim::NumToTensor", "prim::If", "prim::Loop"}


def test_the_metric_head_and_the_gated_feed_forward_add_one_operator_each() -> None:
    assert kinds(network(TINY)) == OPERATORS | STRUCTURE
    assert kinds(network(TINY, max_depth_m=20.0)) - OPERATORS - STRUCTURE == {"aten::sigmoid"}
    assert kinds(network(TINY_GIANT)) - OPERATORS - STRUCTURE == {"aten::silu"}


@pytest.mark.parametrize("batch", [1, 3])
def test_a_trace_gives_the_eager_numbers(batch: int) -> None:
    made = network(TINY)
    images = torch.randn(batch, 3, *made.size)
    traced = trace(made, (torch.zeros_like(images),))
    assert torch.equal(traced(images), made(images))


class Branch(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return images if images.sum() > 0 else -images


class Frozen(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return images + torch.tensor(float(images.sum()))


@pytest.mark.parametrize("module", [Branch(), Frozen()], ids=["branch", "frozen number"])
def test_a_trace_that_warns_is_refused(module: nn.Module) -> None:
    with pytest.raises(BuildError, match="not traceable at a fixed size.*might"):
        trace(module, (torch.ones(1, 3, 14, 14),))


def test_an_export_that_warns_is_refused(tmp_path: Path) -> None:
    letters = {"B": 1, "H": 14, "W": 14}
    part = Part(TINY_MODEL.fused, Branch(), (torch.ones(1, 3, 14, 14),), letters)
    with pytest.raises(BuildError, match="not traceable at a fixed size"):
        export_onnx(part, tmp_path / "branch.onnx")
