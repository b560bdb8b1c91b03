"""Rounding bit by bit, and that a forward pass with casts rounds all it must and nothing else."""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from typing import Any, Callable, Optional

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from compile.errors import PrecisionError
from compile.lowering.passes import lower
from compile.precision.casts import Casts
from compile.precision.rounding import rounded
from compile.precision.steps import layer_norm, softmax
from compile.targets.modes import BF16, FP16, FP32, MODES, TF32, Mode, mode_named
from compile.targets.table import NEURON_PASSES
from compile.trace import trace
from tests.support.models import SIZE, TINY, TINY_GIANT, network

INFINITY = 0x7F800000
LARGEST = 0x7F7FFFFF


def number(bits: int) -> float:
    return struct.unpack("<f", struct.pack("<I", bits))[0]


def bits_of(value: float) -> int:
    return struct.unpack("<I", struct.pack("<f", value))[0]


@pytest.mark.parametrize(
    ("dtype", "before", "after"),
    [
        (FP32, 0x3F812345, 0x3F812345),
        (BF16, 0x3F808000, 0x3F800000),  # half way: to the even neighbour below
        (BF16, 0x3F818000, 0x3F820000),  # half way: to the even neighbour above
        (BF16, 0x3F808001, 0x3F810000),
        (BF16, 0xBF808001, 0xBF810000),  # the sign changes nothing
        (BF16, LARGEST, INFINITY),
        (FP16, 0x3F801000, 0x3F800000),  # half way: to the even neighbour below
        (FP16, 0x3F803000, 0x3F804000),  # half way: to the even neighbour above
        (FP16, 0x477FE000, 0x477FE000),  # 65504, the largest
        (FP16, 0x477FEFFF, 0x477FE000),
        (FP16, 0x477FF000, INFINITY),  # 65520
        (FP16, 0x33800000, 0x33800000),  # 2**-24, the smallest subnormal
        (FP16, 0x33000000, 0x00000000),  # half of it
        (TF32, 0x3F801000, 0x3F800000),  # half way: to the even neighbour below
        (TF32, 0x3F803000, 0x3F804000),  # half way: to the even neighbour above
        (TF32, 0x3F801001, 0x3F802000),
        (TF32, 0xBF801001, 0xBF802000),
        (TF32, 0x477FF000, 0x47800000),  # 65520 is 65536: the range of float32 stays
        (TF32, LARGEST, INFINITY),
        (TF32, INFINITY, INFINITY),
        (TF32, 0x00000000, 0x00000000),
        (TF32, 0x80000000, 0x80000000),
    ],
)
def test_rounding_to_the_bit(dtype: str, before: int, after: int) -> None:
    found = rounded(torch.tensor([number(before)]), dtype)
    assert found.dtype == torch.float32
    assert hex(bits_of(found.item())) == hex(after)


@pytest.mark.parametrize("dtype", [BF16, FP16, TF32])
def test_not_a_number_stays_not_a_number(dtype: str) -> None:
    assert rounded(torch.tensor([number(0x7FFFFFFF), number(0x7F800001)]), dtype).isnan().all()


class Product(nn.Module):
    """[B,1,1,2] -> [B,1,1]: one product, with a transpose of its input before it."""

    def __init__(self, weight: list[float]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(weight)[:, None], requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        return (x.transpose(1, 2) @ self.weight).squeeze(3)


STEP = 2.0**-9  # held by fp16 and tf32 beside a one, not by bf16
FINE = 2.0**-12  # held by fp32 only
VALUE, WEIGHT = 1 + STEP + FINE, 3 * (1 + STEP)
# WEIGHT is 3.005859375. Above 2 the grid of bf16 is 2**-6, that of fp16 and tf32 2**-9.
HELD: Mapping[str, tuple[float, float]] = {
    FP32: (VALUE, WEIGHT),
    TF32: (1 + STEP, WEIGHT),
    FP16: (1 + STEP, WEIGHT),
    BF16: (1.0, 3.0),
}


@pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
def test_one_product_by_hand(mode: Mode) -> None:
    value = VALUE
    for dtype in (mode.io, mode.everything, mode.relayout, mode.matmul):
        # The grids are nested: what one type holds, a wider one leaves alone.
        value = min(value, HELD[dtype or FP32][0])
    expected = np.float32(value) * np.float32(HELD[mode.matmul][1])
    for dtype in (mode.everything, mode.io):
        expected = rounded(torch.tensor(float(expected)), dtype or FP32).numpy()
    found = Casts(Product([WEIGHT, 0.0]), mode).run(torch.tensor([[[[VALUE, 1.0]]]]))[0]
    assert found.shape == (1, 1, 1)
    assert bits_of(found.item()) == bits_of(float(expected))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("matmult-fp16", 1 + STEP + FINE),
        ("matmult-fp16-relayout", 1 + STEP),
        ("matmult-relayout", 1 + STEP),
        ("matmult-bf16-relayout", 1.0),
    ],
)
def test_transposes_are_exact_unless_the_relayout_is_fast(name: str, expected: float) -> None:
    class Transposed(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.permute(0, 2, 1)

    found = Casts(Transposed(), mode_named("inf1", name)).run(torch.full((1, 2, 3), VALUE))[0]
    assert found.shape == (1, 3, 2)
    assert set(found.flatten().tolist()) == {expected}


def test_sums_of_products_stay_in_float32() -> None:
    products = 2048  # bf16 could not count past 256
    linear = nn.Linear(products, 1, bias=False).requires_grad_(False)
    linear.weight.fill_(1 + 2.0**-7)
    casts = Casts(linear, mode_named("inf1", "matmult"))
    assert casts.run(torch.ones(1, products))[0].item() == products * (1 + 2.0**-7)


def test_a_bias_is_no_factor_and_stays_in_float32() -> None:
    linear = nn.Linear(1, 1).requires_grad_(False)
    linear.weight.fill_(1.0)
    linear.bias.fill_(FINE)
    assert Casts(linear, mode_named("inf1", "matmult")).run(torch.ones(1, 1))[0].item() == 1 + FINE
    assert Casts(linear, mode_named("inf1", "all")).run(torch.ones(1, 1))[0].item() == 1


def test_the_steps_are_the_operators_they_stand_for() -> None:
    generator = torch.Generator().manual_seed(0)
    x, weight, bias = (
        torch.randn(*shape, generator=generator) for shape in ((2, 5, 8), (8,), (8,))
    )
    torch.testing.assert_close(
        layer_norm(x, (8,), weight, bias, 1e-6), F.layer_norm(x, (8,), weight, bias, 1e-6)
    )
    torch.testing.assert_close(softmax(x, -1), x.softmax(-1))


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "plain": lambda: network(TINY),
    "metric": lambda: network(TINY, max_depth_m=20.0),
    "giant": lambda: network(TINY_GIANT),
    "lowered": lambda: lower(network(TINY), NEURON_PASSES),
    "resize by convolution": lambda: lower(network(TINY), ["resize=conv1x1"]),
    "attention in blocks": lambda: lower(network(TINY), ["attention_blocks=4"]),
}
IMAGE = torch.randn(1, 3, *SIZE, generator=torch.Generator().manual_seed(1))
ON_THE_MATRIX_ENGINE = ("aten::linear", "aten::matmul", "aten::_convolution", "aten::bmm")


@pytest.mark.parametrize("name", NETWORKS)
def test_no_product_of_the_traced_graph_slips_through(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = NETWORKS[name]()
    graph = trace(made, (IMAGE,)).inlined_graph
    nodes = [node.kind() for node in graph.nodes()]
    assert not {"aten::einsum", "aten::addmm", "aten::mm", "aten::baddbmm"} & set(nodes)
    rounded_products: list[str] = []
    factors = Casts._factors

    def counted(casts: Casts, operator: str, args: tuple[Any, ...]) -> tuple[Any, ...]:
        rounded_products.append(operator)
        return factors(casts, operator, args)

    monkeypatch.setattr(Casts, "_factors", counted)
    Casts(made, mode_named("inf1", "matmult")).run(IMAGE)
    expected = sum(kind in ON_THE_MATRIX_ENGINE for kind in nodes)
    assert len(rounded_products) == expected > 40


class Watched(Casts):
    """Casts that notes every operator whose result its type could not hold."""

    def __init__(self, network: nn.Module, mode: Mode) -> None:
        super().__init__(network, mode)
        self.seen: list[str] = []
        self.unrounded: list[str] = []

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Optional[Mapping[str, Any]] = None,
    ) -> Any:
        result = super().__torch_function__(func, types, args, kwargs)
        self.seen.append(func.__name__)
        for value in result if isinstance(result, tuple) else (result,):
            if isinstance(value, Tensor) and not torch.equal(value, rounded(value, BF16)):
                self.unrounded.append(func.__name__)
        return result


@pytest.mark.parametrize("name", NETWORKS)
def test_where_everything_is_cast_no_value_between_operators_is_wider(name: str) -> None:
    watched = Watched(NETWORKS[name](), mode_named("inf1", "all"))
    watched.run(IMAGE)
    assert watched.unrounded == []
    assert {"exp", "rsqrt", "add", "mul"} <= set(watched.seen)  # softmax and norms, step by step


def test_the_watch_notices_a_value_that_is_wider() -> None:
    watched = Watched(network(TINY), mode_named("inf1", "matmult"))
    watched.run(IMAGE)
    assert {"linear", "add", "softmax", "layer_norm"} <= set(watched.unrounded)


def test_a_network_is_as_it_was_after_a_run_with_casts() -> None:
    made = network(TINY)
    before = made(IMAGE)
    Casts(made, mode_named("inf1", "all")).run(IMAGE)
    assert torch.equal(made(IMAGE), before)
    assert not any(module._forward_hooks for module in made.modules())


def test_casts_refuse_a_product_that_hides_its_factors() -> None:
    class Named(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return F.linear(x, weight=torch.ones(1, 2))

    with pytest.raises(PrecisionError, match="linear in the network: pass both factors"):
        Casts(Named(), mode_named("inf1", "matmult")).run(torch.ones(1, 2))


@pytest.mark.parametrize(
    ("mode", "where"),
    [
        ("matmult-fp16", r"fp16 in encoder\.blocks\.2\.mlp\.fc1 \(linear\)"),
        ("all-fp16", r"fp16 in encoder\.blocks\.2\.mlp\.fc1 \(linear\)"),
        ("matmult-bf16", None),
        ("all", None),
    ],
)
def test_casts_name_the_first_value_out_of_range(mode: str, where: Optional[str]) -> None:
    made = network(TINY)
    for block in (2, 3):
        made.encoder.blocks[block].mlp.fc1.weight *= 1e6  # type: ignore[union-attr, operator]
    casts = Casts(made, mode_named("inf1", mode))
    casts.run(IMAGE)
    if where is None:
        assert casts.overflow is None
    else:
        assert casts.overflow is not None
        assert re.search(where, casts.overflow)


def test_the_square_inside_a_norm_overflows_although_its_result_would_not() -> None:
    norm = nn.LayerNorm(4, eps=1e-6).requires_grad_(False)
    outlier = torch.tensor([[0.0, 0.0, 0.0, 600.0]])  # as DINOv2's largest activations
    casts = Casts(norm, mode_named("inf1", "all-fp16"))
    assert casts.run(outlier)[0].isfinite().all()
    assert casts.overflow == "a value leaves the range of fp16 in the network (mul)"
    harmless = Casts(norm, mode_named("inf1", "matmult-fp16"))
    harmless.run(outlier)
    assert harmless.overflow is None
