"""Lowering of DPT: exact, and all of it on the chip."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from compile.lowering.images import NormalisingInput
from compile.lowering.passes import lower
from compile.lowering.tokens import FirstTokens, LastToken
from compile.preflight.check import preflight
from compile.targets.table import NEURON_PASSES
from depth.network.dpt import Interpolate
from depth.network.position import FixedPosition, SettledPosition
from tests.support.midas import SIZE, TINY_DPT, dpt_network

EXACT = 1e-5  # of the largest depth: float32 rounding
BOTH = pytest.mark.parametrize("name", list(TINY_DPT))


def levels() -> Tensor:
    made = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (2, 3, *SIZE), generator=made).float()


def normalised(pixels: Tensor) -> Tensor:
    return pixels / 127.5 - 1


def error(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).abs().max() / expected.abs().max())


@BOTH
def test_without_a_pass_every_bit_is_the_same(name: str) -> None:
    plain = dpt_network(name)
    images = normalised(levels())
    assert torch.equal(lower(plain, [])(images), plain(images))


@BOTH
@pytest.mark.parametrize(
    "given", [name for name in NEURON_PASSES if name != "normalisation"] + ["project_first"]
)
def test_a_pass_is_exact(name: str, given: str) -> None:
    plain = dpt_network(name)
    images = normalised(levels())
    assert error(lower(plain, [given])(images), plain(images)) < EXACT


@BOTH
@pytest.mark.parametrize("more", [[], ["input=fp16"]], ids=str)
def test_all_passes_together_are_exact_and_take_pixels(name: str, more: list[str]) -> None:
    plain = dpt_network(name)
    lowered = lower(plain, [*NEURON_PASSES, *more])
    assert error(lowered(levels()), plain(normalised(levels()))) < EXACT
    kinds = [type(part) for part in lowered.modules()]
    assert Interpolate not in kinds
    assert SettledPosition not in kinds
    assert {FixedPosition, FirstTokens, LastToken} <= set(kinds)


def test_normalisation_comes_before_the_padding_of_the_resnet() -> None:
    lowered = lower(dpt_network("tiny-hybrid"), ["normalisation"])
    assert isinstance(lowered.encoder.images, NormalisingInput)
    plain = dpt_network("tiny-hybrid")
    assert error(lowered(levels()), plain(normalised(levels()))) < EXACT


@BOTH
@pytest.mark.parametrize("target", ["inf1", "inf2"])
def test_nothing_is_left_for_the_cpu(name: str, target: str) -> None:
    image = torch.zeros(1, 3, *SIZE)
    plain, lowered = (
        preflight(dpt_network(name), image, target, passes, counted=False)
        for passes in (None, NEURON_PASSES)
    )
    assert lowered.left_for_cpu == 0
    operators = {row.operator for row in lowered.rows}
    assert not operators & {"aten::batch_norm", "aten::var", "aten::upsample_bilinear2d"}
    assert ("aten::group_norm" in operators) == (name == "tiny-hybrid")
    if target == "inf1":
        assert plain.left_for_cpu >= 5  # the resizes
