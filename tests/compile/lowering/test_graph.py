"""What is in the graph of a lowered network: the operators that may run on the core, no others."""

from __future__ import annotations

import json
from collections import Counter

import pytest
import torch
from torch import nn

from compile.lowering.passes import lower, stock, with_variants
from compile.parts import stages_of
from compile.targets.table import NEURON_PASSES
from compile.trace import trace
from tests.compile.test_trace import NEURON_OPERATORS, OPERATORS, REPLACED_LATER, STRUCTURE
from tests.support.models import SIZE, TINY, TINY_GIANT, network

LOWERED = OPERATORS - {"aten::mul", "aten::upsample_bilinear2d"}
VARIANTS = {"resize=conv1x1": {"aten::permute"}, "attention_blocks": {"aten::cat"}}


def operators(module: nn.Module, *shape: int) -> Counter[str]:
    # Warnings are errors in every test, so a tracer warning fails the test.
    graph = trace(module, (torch.zeros(*(shape or (1, 3, *SIZE))),)).inlined_graph
    return Counter(kind for kind in (node.kind() for node in graph.nodes()) if "aten" in kind)


def test_a_lowered_network_holds_only_these_operators() -> None:
    assert set(operators(lower(network(TINY), NEURON_PASSES))) == LOWERED


@pytest.mark.parametrize("size", [(14, 14), (14, 154), (84, 28)], ids=str)
def test_no_size_brings_another_operator(size: tuple[int, int]) -> None:
    lowered = lower(network(TINY, size), NEURON_PASSES)
    assert set(operators(lowered, 1, 3, *size)) == LOWERED


def test_the_metric_head_and_the_gated_feed_forward_add_two_operators_each_at_most() -> None:
    metric = operators(lower(network(TINY, max_depth_m=20.0), NEURON_PASSES))
    assert set(metric) - LOWERED == {"aten::sigmoid", "aten::mul"}
    gated = operators(lower(network(TINY_GIANT), NEURON_PASSES))
    assert set(gated) - LOWERED == {"aten::silu", "aten::mul"}


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_variant_adds_one_operator(variant: str) -> None:
    lowered = lower(network(TINY), with_variants(NEURON_PASSES, [variant]))
    assert set(operators(lowered)) == LOWERED | VARIANTS[variant]


def test_what_the_passes_remove_is_in_the_published_graph() -> None:
    published = operators(stock(network(TINY)))
    assert published["aten::upsample_bilinear2d"] == 5
    assert published["aten::upsample_bicubic2d"] == 1
    assert published["aten::mul"] == 3 * TINY.depth
    without_position = operators(lower(stock(network(TINY)), ["position"]))
    assert "aten::upsample_bicubic2d" not in without_position


def test_on_the_grid_of_the_checkpoints_nothing_is_resampled() -> None:
    config = TINY
    native = network(config, (518, 518))
    assert "aten::upsample_bicubic2d" not in operators(stock(native), 1, 3, 518, 518)


def test_each_stage_holds_a_part_of_the_operators() -> None:
    (_, encoder), (_, decoder) = stages_of(lower(network(TINY), NEURON_PASSES), split=True)
    first, second = operators(encoder), operators(decoder, 1, 4 * 5, 4 * TINY.embed_dim)
    assert set(first) | set(second) == LOWERED | {"aten::cat"}
    assert "aten::_convolution" not in first
    assert "aten::softmax" not in second


@pytest.mark.skipif(not NEURON_OPERATORS.is_file(), reason="no list of Inf1's operators here")
def test_every_operator_is_in_inf1s_list() -> None:
    listed = set(json.loads(NEURON_OPERATORS.read_text())["supported"])
    used = (OPERATORS | STRUCTURE).union(*VARIANTS.values(), {"aten::sigmoid", "aten::silu"})
    assert used - listed <= REPLACED_LATER
