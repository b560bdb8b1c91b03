"""Resizing by two constant products is bilinear resizing with aligned corners."""

from __future__ import annotations

import pytest
import torch

from compile.lowering.resize import (
    ConvolutionResize,
    MatmulResize,
    ProductResize,
    interpolation,
)
from depth.network.dpt import Interpolate

FORMS = [MatmulResize, ConvolutionResize]
SIZES = [
    ((3, 5), (5, 9)),  # wide
    ((9, 4), (17, 8)),  # tall
    ((4, 4), (7, 100)),
    ((4, 4), (100, 7)),
    ((1, 2), (2, 3)),
    ((6, 6), (6, 6)),
]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("before", "after"), SIZES, ids=str)
def test_it_gives_torchs_own_numbers(
    form: type[ProductResize], before: tuple[int, int], after: tuple[int, int]
) -> None:
    x = torch.randn(2, 3, *before, dtype=torch.float64)
    expected = Interpolate()(x, after)
    found = form(before, after).double()(x, after)  # its constants stay rounded to float32
    assert found.shape == expected.shape == (2, 3, *after)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("before", "after"), [(19, 37), (37, 74), (148, 296), (296, 518)])
def test_a_row_holds_two_weights_at_most_and_they_add_up_to_one(before: int, after: int) -> None:
    weights = interpolation(before, after)
    assert weights.shape == (after, before)
    assert ((weights > 0).sum(dim=1) <= 2).all()
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(after))
    # A straight line stays one, end to end: the corners are aligned.
    line = weights @ torch.linspace(0, 1, before)
    torch.testing.assert_close(line, torch.linspace(0, 1, after), rtol=0, atol=2e-6)


@pytest.mark.parametrize("form", FORMS)
def test_at_the_size_of_a_photograph_float32_rounding_is_all_that_differs(
    form: type[ProductResize],
) -> None:
    x = torch.randn(1, 1, 296, 392, generator=torch.Generator().manual_seed(0))
    expected = Interpolate()(x, (518, 686))
    found = form((296, 392), (518, 686))(x, (518, 686))
    # Weights computed in float64 differ from torch's own by 3e-5 to 1e-4 here.
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-6)


def test_one_sample_can_be_spread_and_be_taken() -> None:
    assert interpolation(1, 3).tolist() == [[1.0], [1.0], [1.0]]
    assert interpolation(3, 1).tolist() == [[1.0, 0.0, 0.0]]


def test_the_cheaper_order_is_taken() -> None:
    # 4*4*100 + 4*100*7 multiply-accumulates a channel, or 7*4*4 + 7*4*100.
    assert not MatmulResize((4, 4), (7, 100)).columns_first
    assert MatmulResize((4, 4), (100, 7)).columns_first
