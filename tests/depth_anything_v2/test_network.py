"""The network itself: shapes at every size, batches, and the position embedding."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from depth.errors import InputError
from depth.family import ModelConfig
from depth.network.position import fit_pos_embed
from depth.network.vit import SwiGlu
from depth_anything_v2.config import CONFIGS
from tests.support.models import TINY, TINY_GIANT, network, to_upstream, untrained


def reduced(config: ModelConfig) -> ModelConfig:
    """The same kind of network with fewer and narrower parts."""
    dims = (6, 12, 24, 24)
    small = replace(config, embed_dim=24, depth=4, num_heads=2, taps=(0, 1, 2, 3))
    return replace(small, decoder_dim=8, stage_dims=dims)


@pytest.mark.parametrize("name", CONFIGS)
def test_shapes(name: str) -> None:
    made = network(reduced(CONFIGS[name]), (42, 28))
    assert made(torch.zeros(2, 3, 42, 28)).shape == (2, 42, 28)


@pytest.mark.parametrize(("name", "millions"), [("vits", 24.8), ("vitb", 97.5)])
def test_a_checkpoint_has_as_many_parameters_as_its_authors_say(name: str, millions: float) -> None:
    state = to_upstream(untrained(CONFIGS[name]).state_dict())
    assert sum(tensor.numel() for tensor in state.values()) / 1e6 == pytest.approx(
        millions, abs=0.05
    )


def test_the_giant_size_has_gates_of_dinov2s_width() -> None:
    gate = SwiGlu(1536)  # 4096 = 1536 * 4 * 2 / 3, as in the published giant encoder
    assert tuple(gate.w12.weight.shape) == (8192, 1536)
    assert tuple(gate.w3.weight.shape) == (1536, 4096)
    assert all(
        block.mlp.w12.weight.shape == (128, 24) for block in network(TINY_GIANT).encoder.blocks
    )


def test_depth_varies_and_is_never_negative() -> None:
    depth = network(TINY)(torch.randn(1, 3, 56, 70))
    assert depth.min() >= 0
    assert depth.max() - depth.min() > 0.01 * depth.max()


def test_metric_depth_stays_within_its_range() -> None:
    images = torch.randn(1, 3, 56, 70)
    near, far = (network(TINY, max_depth_m=m)(images) for m in (20.0, 80.0))
    assert 0 < near.min() < near.max() < 20
    torch.testing.assert_close(far, 4 * near)


def test_images_of_a_batch_do_not_touch_each_other() -> None:
    made = network(TINY)
    images = torch.randn(3, 3, *made.size)
    alone = torch.cat([made(image[None]) for image in images])
    torch.testing.assert_close(made(images), alone, rtol=1e-5, atol=1e-5)


def test_a_size_can_be_left_and_taken_again() -> None:
    made = network(TINY, (56, 70))
    images = torch.randn(1, 3, 56, 70)
    before = made(images)
    made.fix_size(28, 28)
    with pytest.raises(InputError, match="images of 56x70 px: the network is fixed at 28x28"):
        made(images)
    assert made(images[..., :28, :28]).shape == (1, 28, 28)
    made.fix_size(56, 70)
    assert torch.equal(made(images), before)


def test_the_position_embedding_is_no_part_of_the_weights() -> None:
    assert network(TINY).state_dict().keys() == network(TINY, (28, 28)).state_dict().keys()
    assert network(TINY).state_dict().keys() == untrained(TINY).state_dict().keys()


def test_the_native_grid_keeps_the_position_embedding() -> None:
    embedding = torch.randn(1, 1 + 37 * 37, 8)
    assert fit_pos_embed(embedding, 37, 37) is embedding


def cubic(target: int) -> torch.Tensor:
    """Weights [target,37] of cubic resampling by a factor of (target + 0.1) / 37, by hand."""
    matrix = torch.zeros(target, 37, dtype=torch.float64)
    for i in range(target):
        centre = (i + 0.5) * 37 / (target + 0.1) - 0.5
        first = math.floor(centre) - 1
        for j in range(first, first + 4):
            x = abs(centre - j)
            near, far = 1.25 * x**3 - 2.25 * x**2 + 1, -0.75 * (x**3 - 5 * x**2 + 8 * x - 4)
            matrix[i, min(max(j, 0), 36)] += near if x <= 1 else far
    return matrix


@pytest.mark.parametrize(("h", "w"), [(4, 5), (37, 49), (49, 37), (60, 60)])
def test_the_position_embedding_is_resampled_with_dinov2s_offset(h: int, w: int) -> None:
    embedding = torch.randn(1, 1 + 37 * 37, 8)
    fitted = fit_pos_embed(embedding, h, w)
    grid = embedding[0, 1:].reshape(37, 37, 8).double()
    expected = torch.einsum("ha,wb,abd->hwd", cubic(h), cubic(w), grid).reshape(h * w, 8)
    assert torch.equal(fitted[:, 0], embedding[:, 0])
    torch.testing.assert_close(fitted[0, 1:].double(), expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        ((0, 14), "height 0 px: must be a multiple of 14; nearest is 14"),
        ((518, 700 - 1), "width 699 px: must be a multiple of 14; nearest is 700"),
        ((1400, 1400), "size 1400x1400: 1960000 px, the limit is 1605632"),
    ],
)
def test_a_size_that_cannot_be_is_refused(size: tuple[int, int], text: str) -> None:
    with pytest.raises(InputError, match=text):
        untrained(TINY).fix_size(*size)
