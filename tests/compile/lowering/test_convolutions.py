"""Lowering of a network of convolutions: exact, and all of it on the chip."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from compile.lowering.fusions import ProjectingFirst
from compile.lowering.images import FromHalf, NormalisingInput
from compile.lowering.passes import lower
from compile.lowering.resize import MatmulResize, interpolation
from compile.macs import count_macs
from compile.preflight.check import preflight
from compile.targets.table import NEURON_PASSES
from depth.artifact.steps import Normalise
from depth.network.base import Network
from depth.network.convolution import BatchNorm, SameConvolution
from depth.network.dpt import Interpolate
from tests.support.midas import SIZE, small_network

EXACT = 1e-5  # of the largest depth: float32 rounding


def levels() -> Tensor:
    made = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (2, 3, *SIZE), generator=made).float()


def normalised(pixels: Tensor, network: Network) -> Tensor:
    step = network.model.before[1]
    assert isinstance(step, Normalise)
    mean, std = (torch.tensor(values)[:, None, None] for values in (step.mean, step.std))
    return (pixels / 255 - mean) / std


def error(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).abs().max() / expected.abs().max())


def test_without_a_pass_every_bit_is_the_same() -> None:
    plain = small_network()
    images = normalised(levels(), plain)
    assert torch.equal(lower(plain, [])(images), plain(images))


@pytest.mark.parametrize(
    "name",
    [
        *("batch_norm", "resize=matmul", "resize=conv1x1", "project_first"),
        *("patch_embed", "attention_blocks=4"),  # it has none
    ],
)
def test_a_pass_is_exact(name: str) -> None:
    plain = small_network()
    images = normalised(levels(), plain)
    assert error(lower(plain, [name])(images), plain(images)) < EXACT


@pytest.mark.parametrize("more", [[], ["project_first"], ["input=fp16"]], ids=str)
def test_all_passes_together_are_exact_and_take_pixels(more: list[str]) -> None:
    plain = small_network()
    expected = plain(normalised(levels(), plain))
    lowered = lower(plain, [*NEURON_PASSES, *more])
    assert error(lowered(levels()), expected) < EXACT
    assert not [part for part in lowered.modules() if isinstance(part, (BatchNorm, Interpolate))]


def test_normalisation_comes_before_the_padding() -> None:
    """A zero of the padding is the mean colour. Folded into the weights, it would be black."""
    plain = small_network()
    expected = plain(normalised(levels(), plain))
    lowered = lower(plain, ["normalisation"])
    assert isinstance(lowered.images, NormalisingInput)
    assert error(lowered(levels()), expected) < EXACT
    stem = lowered.encoder.stem.convolution
    assert isinstance(stem, SameConvolution)
    entry = lowered.images
    stem.weight.data *= entry.factor
    folded = stem(levels())
    stem.weight.data /= entry.factor
    shifted = stem((levels() * 0 + 1) * entry.shift)[:, :, 2:3, 2:3]  # as a bias would be
    assert error(folded + shifted, stem(entry(levels()))) > 100 * EXACT


def test_images_in_float16_come_in_through_the_same_place() -> None:
    lowered = lower(small_network(), ["normalisation", "input"])
    assert isinstance(lowered.images, FromHalf)
    assert isinstance(lowered.images.inner, NormalisingInput)
    assert torch.equal(lowered(levels().half()), lowered(levels()))


@pytest.mark.parametrize(("before", "after"), [(4, 8), (3, 6), (1, 2), (5, 11)])
def test_the_resize_without_aligned_corners_is_torchs(before: int, after: int) -> None:
    x = torch.randn(2, 3, before, before + 1)
    size = (after, 2 * before + 2)
    expected = Interpolate(align_corners=False)(x, size)
    found = MatmulResize((before, before + 1), size, align_corners=False)(x, size)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)
    aligned = interpolation(before, after)
    assert before == 1 or not torch.equal(interpolation(before, after, False), aligned)


def test_projecting_first_saves_work() -> None:
    plain = small_network()
    image = torch.zeros(1, 3, *SIZE)
    kept, saved = (
        sum(count_macs(lower(plain, passes), image).values())
        for passes in (["resize"], ["resize", "project_first"])
    )
    assert saved < kept
    lowered = lower(plain, ["project_first"])
    assert isinstance(lowered.decoder.merge.fuse3, ProjectingFirst)


@pytest.mark.parametrize("target", ["inf1", "inf2"])
def test_nothing_is_left_for_the_cpu(target: str) -> None:
    image = torch.zeros(1, 3, *SIZE)
    plain, lowered = (
        preflight(small_network(), image, target, passes, counted=False)
        for passes in (None, NEURON_PASSES)
    )
    assert lowered.left_for_cpu == 0
    assert {row.operator for row in lowered.rows} == {
        *("aten::_convolution", "aten::add", "aten::constant_pad_nd", "aten::hardtanh"),
        *("aten::matmul", "aten::mul", "aten::relu", "aten::squeeze"),
    }
    if target == "inf1":
        assert plain.left_for_cpu == 5  # the resizes
