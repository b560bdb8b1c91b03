"""Every pass keeps the numbers of the stages of a model of any number of views."""

from __future__ import annotations

import functools
from dataclasses import replace
from math import ceil

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from compile.lowering import attention
from compile.lowering.attention import TILE, AttendInBlocks, edges_of, slices_that_fit
from compile.lowering.passes import PASSES, lower, with_variants
from compile.specialise import specialise
from compile.targets.table import NEURON_PASSES
from compile.trace import trace
from compile.untrained import untrained_checkpoint
from depth.family import IMAGENET
from depth.network.dpt import Interpolate
from depth.network.rotary import RotaryAttention
from depth_anything_3.anyview.config import (
    CAMERAS,
    HEAD,
    PREFIX,
    RAYS,
    TRUNK,
    AnyViewConfig,
    model_row,
)
from depth_anything_3.anyview.network import AnyViewNetwork
from tests.support.da3_views import TINY, TINY_MODEL

ALONE, TOGETHER = 1e-5, 5e-5  # largest error as a share of the largest value
SIZE = (28, 126)  # 19 tokens
GATED = replace(TINY, swiglu=True)
SHAPES = [(TINY, 1), (TINY, 3), (GATED, 2)]  # network and number of views
EVERY_VARIANT = [
    f"{row.name}={variant}" if variant else row.name
    for row in PASSES.values()
    for variant in row.variants or ("",)
    if row.name != "input"  # it rounds values between the levels: test_half.py
]
Answers = dict[str, Tensor]


@functools.cache
def made(config: AnyViewConfig = TINY) -> AnyViewNetwork:
    """A network that several tests share, and none changes."""
    model = model_row(config, TINY_MODEL.size)
    return specialise(model, untrained_checkpoint(model), SIZE)  # type: ignore[return-value]


def answers(network: AnyViewNetwork, views: int, scenes: int = 2) -> Answers:
    """What every stage gives for the same pixels and the same cameras."""
    generator = torch.Generator().manual_seed(views)
    pixels = 255 * torch.rand(scenes * views, 3, *SIZE, generator=generator)
    if "normalisation" not in network.passes:
        mean, std = (torch.tensor(v)[:, None, None] for v in (IMAGENET.mean, IMAGENET.std))
        pixels = (pixels / 255 - mean) / std
    codes = torch.randn(scenes, views, 9, generator=generator)
    known = torch.tensor([1.0, 0.0]).reshape(scenes, 1, 1)
    tokens, class_tokens = network.stage(PREFIX)(pixels)
    camera_tokens = network.stage(CAMERAS, views)(codes, known)
    trunk = network.stage(TRUNK, views)
    features, found = trunk(tokens.reshape(scenes, views, *tokens.shape[1:]), camera_tokens)
    maps = network.stage(RAYS)(features.flatten(0, 1))
    assert all(map(torch.equal, maps, network.stage(HEAD)(features.flatten(0, 1))))
    return {
        "class tokens": class_tokens,
        "camera tokens": camera_tokens,
        "features": features,
        "codes": found,
        **dict(zip(("depth", "confidence", "rays", "ray confidence"), maps)),
    }


def errors(network: AnyViewNetwork, config: AnyViewConfig, views: int) -> dict[str, float]:
    """By output, of a lowered network against the plain network."""
    expected, found = answers(made(config), views), answers(network, views)
    for value in expected.values():
        assert value.std() > 0.01 * value.abs().max()  # values that vary
    return {
        name: float((found[name] - value).abs().max() / value.abs().max())
        for name, value in expected.items()
    }


@pytest.mark.parametrize(("config", "views"), SHAPES)
def test_without_a_pass_every_bit_is_the_same(config: AnyViewConfig, views: int) -> None:
    assert set(errors(lower(made(config), []), config, views).values()) == {0.0}


@pytest.mark.long
@pytest.mark.parametrize(("config", "views"), SHAPES)
def test_each_pass_alone_keeps_the_numbers(config: AnyViewConfig, views: int) -> None:
    for name in EVERY_VARIANT:
        found = errors(lower(made(config), [name]), config, views)
        assert max(found.values()) <= ALONE, (name, found)


@pytest.mark.parametrize(("config", "views"), SHAPES)
def test_all_passes_together_keep_the_numbers(config: AnyViewConfig, views: int) -> None:
    for variants in ([], ["resize=conv1x1", "attention_blocks=2"]):
        lowered = lower(made(config), with_variants(NEURON_PASSES, variants))
        found = errors(lowered, config, views)
        assert max(found.values()) <= TOGETHER, (variants, found)


def test_a_factor_that_stays_in_the_graph_or_is_lost_would_be_seen() -> None:
    lowered = lower(made(), ["attention_scale"])
    rotary = [part for part in lowered.modules() if isinstance(part, RotaryAttention)]
    assert rotary
    assert all(isinstance(part.scale, nn.Identity) for part in rotary)
    rotary[0].q_norm.weight.data *= 1.2
    assert errors(lowered, TINY, 2)["features"] > 1e-3


def test_a_camera_token_that_stayed_in_front_would_be_seen() -> None:
    lowered = lower(made(), ["class_token"])
    stayed = made().encoder
    lowered.encoder.with_camera_token = stayed.with_camera_token
    assert errors(lowered, TINY, 2)["codes"] > 1e-3


def test_the_tokens_of_the_first_stage_have_the_class_token_last() -> None:
    images = torch.ones(1, 3, *SIZE)
    before, after = (lower(made(), p).stage(PREFIX)(images)[0] for p in ([], ["class_token"]))
    moved = torch.cat((before[:, 1:], before[:, :1]), dim=1)
    torch.testing.assert_close(after, moved, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("heads", "tokens", "count"),
    [
        (6, 865, 1),  # a view of 336x504 px in da3-small, 18 MB
        (6, 4 * 865, 2),  # 287 MB
        (12, 4 * 865, 3),
        (16, 4 * 865, 4),
        (6, 8 * 865, 5),
        (16, 32 * 865, 217),  # a slice of one tile: no slice is smaller
        (24, 64 * 865, 433),
        (2, 1, 1),
    ],
)
def test_slices_are_as_few_as_fit(heads: int, tokens: int, count: int) -> None:
    assert slices_that_fit(heads, tokens) == count
    edges = edges_of(tokens, count)
    largest = max(end - start for start, end in zip(edges, edges[1:]))
    assert 4 * heads * tokens * largest <= attention.SLICE_BYTES or largest <= TILE
    fewer = ceil(ceil(tokens / TILE) / (count - 1)) if count > 1 else 0
    assert not fewer or 4 * heads * tokens * TILE * fewer > attention.SLICE_BYTES


def test_blocks_of_all_views_are_sliced_and_blocks_of_a_view_are_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    views = 12
    tokens = views * 19
    monkeypatch.setattr(attention, "SLICE_BYTES", 4 * TINY.num_heads * tokens * TILE)
    lowered = lower(made(), ["attention_blocks=fit"])
    assert isinstance(lowered.encoder.blocks[-1].attn.attend, AttendInBlocks)
    trunk = lowered.stage(TRUNK, views)
    given = torch.zeros(1, views, 19, TINY.embed_dim), torch.zeros(1, views, TINY.embed_dim)
    graph = trace(trunk, given).inlined_graph
    softmaxes = sum(node.kind() == "aten::softmax" for node in graph.nodes())
    local = across = (TINY.depth - TINY.alternate_from) // 2
    assert softmaxes == local + across * ceil(tokens / TILE)
    assert errors(lowered, TINY, views)["features"] <= ALONE


def test_sizes_are_seen_in_every_stage_also_in_the_branch_of_rays() -> None:
    lowered = lower(made(), ["resize=conv1x1"])
    assert not [part for part in lowered.modules() if isinstance(part, Interpolate)]
    assert np.isfinite(answers(lowered, 1)["rays"].numpy()).all()
