"""Every pass keeps the numbers, alone and with the others, in both layouts of the network."""

from __future__ import annotations

import functools

import pytest
import torch
from torch import Tensor

from compile.lowering import resize, rewrites
from compile.lowering.passes import PASSES, asked, lower, stock, with_variants
from compile.parts import stages_of
from compile.preflight.costs import costs
from compile.shapes_only import build_without_values
from compile.targets.table import NEURON_PASSES
from depth.errors import InputError
from depth.family import IMAGENET, ModelConfig, model_named
from depth.network.base import Network
from depth_anything_v2.config import CONFIGS
from depth_anything_v2.network import DepthAnything
from tests.support.models import SIZE, TINY, TINY_GIANT, network

ALONE, TOGETHER = 1e-5, 5e-5  # largest error as a share of the largest depth
EVERY_VARIANT = [
    f"{row.name}={variant}" if variant else row.name
    for row in PASSES.values()
    for variant in row.variants or ("",)
    if row.name != "input"  # it rounds values between the levels: test_half.py
]
NETWORKS = [
    (TINY, SIZE, None),
    (TINY, (28, 140), 20.0),  # metric
    (TINY_GIANT, SIZE, None),
    (CONFIGS["demo"], SIZE, None),
    (CONFIGS["vits"], (42, 28), 80.0),
]


def ids(value: object) -> str:
    return value.name.replace(" ", "-") if isinstance(value, ModelConfig) else str(value)


@functools.cache
def made(config: ModelConfig, size: tuple[int, int], max_depth_m: float) -> DepthAnything:
    """A network that several tests share, and none changes."""
    return network(config, size, max_depth_m)


def pixels(size: tuple[int, int], batch: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return 255 * torch.rand(batch, 3, *size, generator=generator)


def normalised(values: Tensor) -> Tensor:
    mean, std = (torch.tensor(v)[:, None, None] for v in (IMAGENET.mean, IMAGENET.std))
    return (values / 255 - mean) / std


def image_for(lowered: Network, batch: int = 1) -> Tensor:
    values = pixels(lowered.fixed_size, batch)
    return values if "normalisation" in lowered.passes else normalised(values)


def error(lowered: Network, plain: DepthAnything, batch: int = 1) -> float:
    expected = plain(normalised(pixels(plain.fixed_size, batch)))
    assert expected.std() > 0.01 * expected.abs().max()  # depth that varies
    found = lowered(image_for(lowered, batch))
    assert found.shape == expected.shape
    return float((found - expected).abs().max() / expected.abs().max())


@pytest.mark.parametrize(("config", "size", "max_depth_m"), NETWORKS, ids=ids)
def test_without_a_pass_every_bit_is_the_same(
    config: ModelConfig, size: tuple[int, int], max_depth_m: float
) -> None:
    plain = made(config, size, max_depth_m)
    image = normalised(pixels(size))
    assert torch.equal(lower(plain, [])(image), plain(image))
    assert torch.equal(stock(plain)(image), plain(image))


@pytest.mark.parametrize(
    ("config", "size", "max_depth_m"),
    [*NETWORKS[:-1], pytest.param(*NETWORKS[-1], marks=pytest.mark.long)],
    ids=ids,
)
def test_each_pass_alone_keeps_the_numbers(
    config: ModelConfig, size: tuple[int, int], max_depth_m: float
) -> None:
    plain = made(config, size, max_depth_m)
    for name in EVERY_VARIANT:
        if name not in ("attention_blocks=8", "attention_blocks=16"):  # more than there are tokens
            assert error(lower(plain, [name]), plain) <= ALONE, name


@pytest.mark.parametrize(("config", "size", "max_depth_m"), NETWORKS, ids=ids)
def test_all_passes_together_keep_the_numbers(
    config: ModelConfig, size: tuple[int, int], max_depth_m: float
) -> None:
    plain = made(config, size, max_depth_m)
    assert error(lower(plain, NEURON_PASSES), plain, batch=2) <= TOGETHER
    others = with_variants(NEURON_PASSES, ["resize=conv1x1", "attention_blocks=2"])
    assert error(lower(stock(plain), others), plain) <= TOGETHER


@pytest.mark.parametrize("name", ["tiny", "tiny_giant"])
def test_the_order_in_which_passes_are_asked_for_changes_nothing(name: str) -> None:
    plain = network({"tiny": TINY, "tiny_giant": TINY_GIANT}[name])
    forwards, backwards = (lower(plain, p) for p in (NEURON_PASSES, NEURON_PASSES[::-1]))
    assert forwards.passes == backwards.passes
    image = image_for(forwards)
    assert torch.equal(forwards(image), backwards(image))


def test_normalisation_folds_into_the_convolution_and_into_the_product_alike() -> None:
    before, after = lower(network(TINY), []), lower(network(TINY), [])
    rewrites.fold_normalisation(before, "")
    rewrites.multiply_patches(before, "")
    rewrites.multiply_patches(after, "")
    rewrites.fold_normalisation(after, "")
    assert torch.equal(before.encoder.patch_embed.weight, after.encoder.patch_embed.weight)
    assert torch.equal(before(pixels(SIZE)), after(pixels(SIZE)))


def test_passes_one_after_the_other_are_the_passes_at_once() -> None:
    plain = network(TINY)
    lowered = lower(lower(plain, ["resize"]), ["layer_scale", "normalisation"])
    assert lowered.passes == ("resize=matmul", "normalisation", "layer_scale")
    assert error(lowered, plain) <= TOGETHER


@pytest.mark.parametrize("first", ["resize", "resize=conv1x1", "normalisation"])
def test_a_pass_is_not_applied_twice(first: str) -> None:
    lowered = lower(network(TINY), [first])
    with pytest.raises(InputError, match="applied to this network before"):
        lower(lowered, [first.partition("=")[0]])


def test_the_network_that_is_lowered_stays_as_it_was() -> None:
    plain = network(TINY)
    state = {name: tensor.clone() for name, tensor in plain.state_dict().items()}
    lowered = lower(plain, with_variants(NEURON_PASSES, ["attention_blocks"]))
    expected = lowered(image_for(lowered))
    assert all(torch.equal(tensor, state[name]) for name, tensor in plain.state_dict().items())
    with torch.no_grad():
        for parameter in plain.parameters():
            parameter.zero_()
    plain.fix_size(28, 28)
    assert torch.equal(lowered(image_for(lowered)), expected)


def test_a_network_is_lowered_at_its_current_size() -> None:
    plain = network(TINY)
    plain.fix_size(28, 98)
    assert error(lower(plain, NEURON_PASSES), plain) <= TOGETHER


def test_a_lowered_network_is_ready_to_trace() -> None:
    plain = network(TINY).train().requires_grad_(True)
    lowered = lower(plain, NEURON_PASSES)
    assert not lowered.training
    assert not [name for name, tensor in lowered.named_parameters() if tensor.requires_grad]


def test_the_stages_one_after_the_other_are_the_whole() -> None:
    plain = network(TINY)
    for whole in (plain, lower(plain, NEURON_PASSES)):
        (_, encoder), (_, decoder) = stages_of(whole, split=True)
        image = pixels(SIZE, batch=2)
        tokens = encoder(image)
        assert tokens.shape == (2, 4 * 5, 4 * TINY.embed_dim)
        assert torch.equal(decoder(tokens), whole(image))


def test_a_rewrite_that_is_not_exact_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    exact = resize.interpolation

    def corners_not_aligned(before: int, after: int, align_corners: bool) -> Tensor:
        return exact(before, after + 1, align_corners)[:after]

    monkeypatch.setattr(resize, "interpolation", corners_not_aligned)
    plain = network(TINY)
    for name in ("resize=matmul", "resize=conv1x1"):
        assert error(lower(plain, [name]), plain) > 100 * TOGETHER


@pytest.mark.parametrize(
    ("passes", "message"),
    [
        (["resise"], "no lowering pass 'resise'; choose from position, normalisation"),
        (["resize=conv"], "no variant 'conv'; choose from matmul, conv1x1"),
        (["resize="], "no variant ''; choose from matmul"),
        (["attention_blocks=3"], "no variant '3'; choose from 4, 2, 8, 16, fit"),
        (["layer_scale=now"], "no variant 'now'; ask for it by name alone"),
        (["resize", "position", "resize=conv1x1"], "'resize' is asked for twice"),
    ],
)
def test_a_pass_that_does_not_exist_is_refused(passes: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        lower(network(TINY), passes)
    with pytest.raises(InputError, match=message):
        costs(network(TINY), passes)


def test_more_slices_than_tokens_are_refused() -> None:
    with pytest.raises(InputError, match="attention_blocks=8: there are 7 tokens only"):
        lower(network(TINY, (28, 42)), ["attention_blocks=8"])


def test_every_pass_says_what_and_why() -> None:
    assert {text.partition("=")[0] for text in NEURON_PASSES} == PASSES.keys() - {
        "input",
        "project_first",
    }
    for row, _ in asked(list(PASSES)):
        assert row.summary
        assert row.why


def test_costs_are_counted_pass_by_pass_without_a_weight() -> None:
    plain = build_without_values(model_named("vits"))
    plain.fix_size(518, 686)
    found = costs(plain, with_variants(NEURON_PASSES, ["attention_blocks"]))
    by_name = {cost.name: cost for cost in found.passes}
    assert list(by_name) == [*list(PASSES)[:-4], "resize=matmul", "attention_blocks=4"]
    assert found.macs_before == 83_732_534_400
    assert by_name["resize=matmul"].macs == 8_000_387_584
    assert by_name["resize=matmul"].constant_bytes == 4 * sum(
        after * before
        for h, w in [(37, 49)]
        for before, after in [
            *((k * n, 2 * k * n) for n in (h, w) for k in (1, 2, 4)),
            *(((n + 1) // 2, n) for n in (h, w)),
            *((8 * n, 14 * n) for n in (h, w)),
        ]
    )
    assert by_name["layer_scale"].constant_bytes == -2 * 12 * 384 * 4
    assert not [cost for name, cost in by_name.items() if "resize" not in name and cost.macs]
    assert 9 < found.extra_percent <= 12


def test_the_baked_position_costs_what_its_grid_has_more_than_the_checkpoints() -> None:
    plain = network(TINY)
    (cost,) = costs(stock(plain), ["position"]).passes
    class_token, grid, native = 1, 4 * 5, 1 + 37 * 37
    assert cost.constant_bytes == 4 * 24 * (grid + 1 - native - class_token)
