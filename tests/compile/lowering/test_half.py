"""Images in float16: exact for the levels 0..255, and rounded openly for values between them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from compile.lowering.images import FromHalf
from compile.lowering.passes import lower, with_variants
from compile.parts import parts
from compile.preflight.check import preflight
from compile.preflight.costs import costs
from compile.targets.table import NEURON_PASSES
from compile.trace import trace
from depth.errors import InputError
from depth.network.base import Network
from tests.support import da3
from tests.support.models import SIZE, TINY, network

HALF = [*NEURON_PASSES, "input"]


def levels(batch: int = 2) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (batch, 3, *SIZE), generator=generator).float()


@pytest.mark.parametrize("passes", [["normalisation"], list(NEURON_PASSES)], ids=["one", "all"])
def test_whole_levels_give_the_same_bits(passes: list[str]) -> None:
    plain = network(TINY)
    expected = lower(plain, passes)(levels())
    assert torch.equal(lower(plain, [*passes, "input=fp16"])(levels().half()), expected)


def test_every_level_is_exact_in_float16() -> None:
    every = torch.arange(256).float()
    assert torch.equal(every.half().float(), every)


def test_values_between_levels_are_rounded_by_the_network_as_by_its_caller() -> None:
    lowered = lower(network(TINY), HALF)
    between = levels() * 0.9973
    found = lowered(between)
    assert torch.equal(found, lowered(between.half()))
    assert not torch.equal(found, lower(network(TINY), NEURON_PASSES)(between))


def test_both_maps_of_depth_anything_3_stay() -> None:
    plain = da3.network()
    plain.fix_size(*SIZE)
    expected = lower(plain, NEURON_PASSES)(levels())
    for one, other in zip(lower(plain, HALF)(levels().half()), expected):
        assert torch.equal(one, other)


@pytest.mark.parametrize("split", [False, True], ids=["whole", "split"])
def test_the_programs_say_what_they_take_and_cast_first(split: bool) -> None:
    first, *rest = parts(lower(network(TINY), HALF), 2, split)
    assert [(port.name, port.dtype) for port in first.stage.inputs] == [("images", "float16")]
    assert [example.dtype for example in first.examples] == [torch.float16]
    for part in rest:
        assert {port.dtype for port in part.stage.inputs} == {"float32"}
        assert {example.dtype for example in part.examples} == {torch.float32}
    graph = trace(first.module, first.examples).inlined_graph
    operators = [node for node in graph.nodes() if node.kind().startswith("aten::")]
    assert operators[0].kind() == "aten::to"
    assert list(operators[0].inputs())[0].debugName() == list(graph.inputs())[1].debugName()
    assert [node.kind() for node in operators].count("aten::to") == 1


@pytest.mark.long
@pytest.mark.parametrize("target", ["inf1", "inf2"])
def test_preflight_counts_one_operator_more_and_half_the_bytes(target: str) -> None:
    example = torch.zeros(1, 3, *SIZE)
    plain, half = (preflight(network(TINY), example, target, p) for p in (NEURON_PASSES, HALF))
    assert (half.left_for_cpu, half.nodes > plain.nodes) == (0, True)
    counts = [sum(row.count for row in report.rows) for report in (plain, half)]
    assert counts[1] == counts[0] + 1
    assert half.footprint.input_bytes == plain.footprint.input_bytes // 2


def test_it_costs_no_product_and_no_constant() -> None:
    cost = costs(network(TINY), HALF).passes[-1]
    assert (cost.name, cost.macs, cost.constant_bytes) == ("input=fp16", 0, 0)


def test_images_that_the_host_normalises_are_not_taken_in_float16() -> None:
    needs = "'input' needs the pass 'normalisation': float16 holds the levels 0..255 exactly"
    for refused in (
        lambda: lower(network(TINY), ["input=fp16"]),
        lambda: with_variants((), ["input=fp16"]),
        lambda: costs(network(TINY), ["input"]),
    ):
        with pytest.raises(InputError, match=needs):
            refused()
    assert with_variants(NEURON_PASSES, ["input=fp16"]) == (*NEURON_PASSES, "input=fp16")
    with pytest.raises(InputError, match="no variant 'uint8'; choose from fp16"):
        lower(network(TINY), ["normalisation", "input=uint8"])


def test_it_may_come_after_the_normalisation() -> None:
    first: Network = lower(network(TINY), ["normalisation"])
    again = lower(first, ["input", "patch_embed"])
    assert isinstance(again.encoder.patch_embed, FromHalf)
    expected = lower(network(TINY), ["normalisation", "patch_embed", "input"])
    assert torch.equal(again(levels()), expected(levels()))
    with pytest.raises(InputError, match="applied to this network before"):
        lower(again, ["input"])
