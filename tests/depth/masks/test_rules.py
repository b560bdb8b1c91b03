"""What a stored result says to leave out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from depth.errors import InputError
from depth.family import DEPTH, FOCAL_NORMALISED, METRES, RELATIVE_DEPTH, RELATIVE_INVERSE
from depth.maps.result import Map, Result
from depth.masks.rules import DepthRules, Region, share_of
from tests.support.depth_samples import result, several

ROW = np.arange(1, 11, dtype=np.float32)[np.newaxis].repeat(2, axis=0)  # 1..10 from left to right
SIZE = (2, 10)


def region(rules: DepthRules, found: Result, size: tuple[int, int] = SIZE) -> Region:
    ((_, only),) = rules.regions(found, size)
    return only


def masked(rules: DepthRules, found: Result) -> list[int]:
    """The columns, counted from 1, of the first row that are left out."""
    return [int(i) + 1 for i in np.flatnonzero(region(rules, found)[0])]


def test_metres_outside_a_range_are_left_out() -> None:
    metres = result(ROW, METRES)
    assert masked(DepthRules(near_m=3.0), metres) == [1, 2]
    assert masked(DepthRules(far_m=8.0), metres) == [9, 10]
    assert masked(DepthRules(near_m=3.0, far_m=8.0), metres) == [1, 2, 9, 10]


@pytest.mark.parametrize("kind", [RELATIVE_INVERSE, RELATIVE_DEPTH])
def test_a_range_in_metres_needs_metres(kind: str) -> None:
    with pytest.raises(InputError, match=f"its depth is {kind}: .*--farthest 20%"):
        region(DepthRules(far_m=8.0), result(ROW, kind))


def test_depth_without_its_focal_length_is_no_metres() -> None:
    with pytest.raises(InputError, match="make depth again with --focal-px, --fov-deg"):
        region(DepthRules(near_m=1.0), result(ROW, FOCAL_NORMALISED))


def test_the_farthest_share_goes_by_the_direction_of_the_kind() -> None:
    assert masked(DepthRules(farthest=0.2), result(ROW, RELATIVE_INVERSE)) == [1, 2]
    assert masked(DepthRules(farthest=0.2), result(ROW, RELATIVE_DEPTH)) == [9, 10]
    assert masked(DepthRules(nearest=0.3), result(ROW, METRES)) == [1, 2, 3]
    assert masked(DepthRules(nearest=0.3), result(ROW, RELATIVE_INVERSE)) == [8, 9, 10]
    both = DepthRules(nearest=0.1, farthest=0.1)
    assert masked(both, result(ROW, METRES)) == [1, 10]


def test_equal_depths_go_together_and_flat_depth_stays() -> None:
    steps = np.where(ROW > 5, np.float32(0), ROW)  # half of it is as far as can be
    assert masked(DepthRules(farthest=0.1), result(steps, RELATIVE_INVERSE)) == [6, 7, 8, 9, 10]
    assert masked(DepthRules(farthest=0.5), result(np.ones_like(ROW), METRES)) == []


def test_sky_and_confidence_are_compared_at_the_size_of_the_image() -> None:
    found = several()
    sky = region(DepthRules(sky=True, sky_threshold=0.5), found, (9, 13))
    assert sky.shape == (9, 13)
    assert not sky[0, 0]
    assert sky[-1, -1]
    assert 0.4 < sky.mean() < 0.6
    unsure = region(DepthRules(min_confidence=5.0), found, (9, 13))
    assert unsure[0, 0]
    assert not unsure[-1, -1]
    # A value at the threshold is sky, and is sure enough.
    one = np.ones((1, 1), np.float32)
    flat = replace(found, maps={**found.maps, "sky": Map(one, "sky")})
    assert region(DepthRules(sky=True, sky_threshold=1.0), flat).all()
    assert not region(DepthRules(min_confidence=1.0), several(), (4, 3))[0, 0]


@pytest.mark.parametrize(
    ("rules", "name"), [(DepthRules(sky=True), "sky"), (DepthRules(min_confidence=1), "confidence")]
)
def test_a_missing_map_is_named(rules: DepthRules, name: str) -> None:
    with pytest.raises(InputError, match=f"needs a map '{name}', and the result has depth"):
        list(rules.regions(result(ROW), SIZE))


def test_every_source_has_its_name() -> None:
    rules = DepthRules(far_m=5, nearest=0.1, sky=True, min_confidence=1)
    found = several()
    assert found.maps[DEPTH].kind == METRES
    assert [name for name, _ in rules.regions(found, (5, 7))] == [
        "range",
        "quantile",
        "sky",
        "confidence",
    ]
    assert rules.any
    assert not DepthRules().any
    assert DepthRules(min_confidence=0.0).any


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"near_m": 0.0}, "--near 0: expected metres over 0"),
        ({"far_m": float("inf")}, "--far inf"),
        ({"far_m": float("nan")}, "--far nan"),
        ({"near_m": 5.0, "far_m": 5.0}, "--near 5 is not below --far 5"),
        ({"farthest": 1.0}, "--farthest: expected a share between"),
        ({"nearest": 0.0}, "--nearest: expected a share between"),
        ({"sky_threshold": float("nan")}, "--sky-threshold nan"),
        ({"min_confidence": float("inf")}, "--min-confidence inf"),
    ],
)
def test_numbers_that_no_image_can_meet_are_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        DepthRules(**wrong)


def test_shares_are_percent() -> None:
    assert share_of("20%") == share_of(" 20 ") == 0.2
    for text in ("", "%", "a fifth", "20%%"):
        with pytest.raises(InputError, match="expected a share in percent"):
            share_of(text)
