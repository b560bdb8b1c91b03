"""Previews match the pictures of the original programs and survive constant images."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from depth.family import RELATIVE_INVERSE
from depth.maps.preview import (
    WARM_FIRST,
    WARM_LAST,
    colour_preview,
    upstream_levels,
)
from tests.support.depth_samples import KINDS, depth_of, ramp

RED, BLUE = [66, 1, 158], [162, 79, 94]  # BGR


@pytest.mark.parametrize(
    ("table", "sha256"),
    [
        (WARM_LAST, "02b33a69a86b01875d51dca0ee1d8f34bd1f3ffedf36ab1e538c82e4db9576ec"),
        (WARM_FIRST, "7cade4e967c67340128c355dfa7c92fd1feb84f018e6adf218105d6b1f50b040"),
    ],
)
def test_tables_are_those_of_matplotlib(table: np.ndarray, sha256: str) -> None:
    """The hashes were made with matplotlib 3.9.4: `(cmap(levels)[:, :3] * 255)[:, ::-1]` cut to
    uint8, for "Spectral_r" and "Spectral"."""
    assert table.shape == (256, 1, 3)
    assert hashlib.sha256(table.tobytes()).hexdigest() == sha256


def test_the_two_tables_are_not_mirror_images() -> None:
    """matplotlib's rounding differs in two entries, so one table cannot stand for both."""
    assert np.argwhere((WARM_LAST[::-1] != WARM_FIRST).any((1, 2))).ravel().tolist() == [68, 85]


@pytest.mark.parametrize("seed", range(5))
def test_levels_are_the_original_formula(seed: int) -> None:
    values = np.random.default_rng(seed).gamma(2, 3, (37, 53)).astype(np.float32)
    expected = (values - values.min()) / (values.max() - values.min()) * 255.0
    np.testing.assert_array_equal(upstream_levels(values), expected.astype(np.uint8))


def test_levels_leave_the_values_alone() -> None:
    values = ramp()
    before = values.copy()
    upstream_levels(values)
    np.testing.assert_array_equal(values, before)


@pytest.mark.parametrize("kind", KINDS)
def test_near_is_red_for_every_kind(kind: str) -> None:
    colours = colour_preview(depth_of(ramp(2, 300), kind))
    assert (colours.shape, colours.dtype) == ((2, 300, 3), np.uint8)
    nearest, farthest = (-1, 0) if kind == RELATIVE_INVERSE else (0, -1)
    assert colours[nearest, nearest].tolist() == RED
    assert colours[farthest, farthest].tolist() == BLUE


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", [0.0, 3.5, 1e30])
def test_a_constant_image_is_one_colour(kind: str, value: float) -> None:
    flat = depth_of(np.full((3, 4), value, np.float32), kind)
    assert len(np.unique(colour_preview(flat).reshape(-1, 3), axis=0)) == 1
