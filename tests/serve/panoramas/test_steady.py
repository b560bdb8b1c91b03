"""Frames of a video in one scale: each is moved onto the frame before, in inverse distance."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from depth.family import DEPTH, METRES, RELATIVE_DEPTH, RELATIVE_INVERSE
from depth.maps.projection import Projection
from depth.maps.result import FloatArray, Map, Result
from serve.panoramas.steady import in_scale
from tests.support.depth_samples import MADE_BY
from tests.support.room import panorama

INVERSE = (1 / panorama((48, 96)).distance).astype(np.float32)
PROJECTION = Projection("equirectangular", "along the ray", "affine", 0.01, 0.02, 1.0, 0.0, ())


def result_of(values: FloatArray, kind: str = RELATIVE_INVERSE) -> Result:
    return Result({DEPTH: Map(values, kind)}, MADE_BY, projection=PROJECTION)


def test_a_frame_takes_the_scale_of_the_frame_before_though_some_of_it_moved() -> None:
    moved = 2.5 * INVERSE
    moved[10:30, 20:50] *= 1.8
    found = in_scale(result_of(moved), result_of(INVERSE))
    assert found.projection
    assert found.projection.scale == pytest.approx(0.4, rel=0.01)
    assert np.median(np.abs(found.depth.values / INVERSE - 1)) < 0.01
    assert np.array_equal(found.depth.values, moved * np.float32(found.projection.scale))


def test_distances_are_compared_as_inverse_distances() -> None:
    before = result_of(1 / INVERSE, RELATIVE_DEPTH)
    found = in_scale(result_of(3 / INVERSE, RELATIVE_DEPTH), before)
    assert found.projection
    assert found.projection.scale == pytest.approx(1 / 3, rel=0.01)
    assert np.allclose(found.depth.values, 1 / INVERSE, rtol=0.02)


def test_metres_the_first_frame_and_ordinary_results_stay() -> None:
    one, other = result_of(2 * INVERSE), result_of(INVERSE)
    assert in_scale(one, None) is one
    metres = result_of(2 * INVERSE, METRES)
    assert in_scale(metres, result_of(INVERSE, METRES)) is metres
    ordinary = replace(one, projection=None)
    assert in_scale(ordinary, other) is ordinary


def test_a_frame_of_another_scene_keeps_its_scale() -> None:
    noise = np.random.default_rng(0).lognormal(0, 3, INVERSE.shape).astype(np.float32)
    one = result_of(noise)
    assert in_scale(one, result_of(INVERSE)) is one
