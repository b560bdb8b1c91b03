"""Previews match the pictures of the original programs and survive constant images."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from depth.family import METRIC, RELATIVE
from depth.maps.preview import (
    WARM_FIRST,
    WARM_LAST,
    colour_preview,
    gray_preview,
    upstream_levels,
)
from tests.depth_samples import KINDS, depth_map, ramp

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


def test_near_is_red_for_both_kinds() -> None:
    rising = ramp(2, 300)
    relative = colour_preview(depth_map(rising, RELATIVE))
    metric = colour_preview(depth_map(rising, METRIC))
    assert relative.shape == (2, 300, 3)
    assert relative.dtype == np.uint8
    assert (relative[0, 0].tolist(), relative[-1, -1].tolist()) == (BLUE, RED)
    assert (metric[0, 0].tolist(), metric[-1, -1].tolist()) == (RED, BLUE)


def test_near_is_bright_for_both_kinds() -> None:
    relative = gray_preview(depth_map(ramp(), RELATIVE))
    metric = gray_preview(depth_map(ramp(), METRIC))
    assert relative.shape == (5, 7)
    assert (relative[0, 0], relative[-1, -1]) == (0, 255)
    assert (metric[0, 0], metric[-1, -1]) == (255, 0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", [0.0, 3.5, 1e30])
def test_a_constant_image_is_one_colour(kind: str, value: float) -> None:
    flat = depth_map(np.full((3, 4), value, np.float32), kind)
    assert len(np.unique(colour_preview(flat).reshape(-1, 3), axis=0)) == 1
    assert len(np.unique(gray_preview(flat))) == 1
