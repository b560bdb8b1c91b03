"""Metres for a scene, from a network that knows metres."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from depth.artifact.steps import ScaleToMetres
from depth.errors import InputError
from depth.steps.metric_scale import MetricScene, in_metres

STEP = ScaleToMetres()
VIEWS, H, W = 3, 20, 30
FOCAL_PX = np.array([300, 150, 600], dtype=np.float32)


def scene(**changes: Any) -> dict[str, Any]:
    """A scene of which the metric network says that a unit is 2.5 m; the top rows are sky."""
    rng = np.random.default_rng(0)
    depth = rng.uniform(1, 5, (VIEWS, H, W)).astype(np.float32)
    sky = np.zeros_like(depth)
    sky[:, :4] = 0.9
    return {
        "depth": depth,
        "confidence": rng.uniform(1, 3, depth.shape).astype(np.float32),
        "extrinsics": rng.standard_normal((VIEWS, 3, 4)).astype(np.float32),
        "focal_px": FOCAL_PX,
        "metric": (2.5 * depth * 300 / FOCAL_PX[:, None, None], sky),
        "step": STEP,
        **changes,
    }


def found(**changes: Any) -> MetricScene:
    return in_metres(**scene(**changes))


def test_depth_and_positions_are_in_metres() -> None:
    given, result = scene(), found()
    assert result.scale == pytest.approx(2.5, rel=1e-6)
    assert np.allclose(result.depth[:, 4:], 2.5 * given["depth"][:, 4:], rtol=1e-5)
    assert np.allclose(result.extrinsics[:, :, 3], 2.5 * given["extrinsics"][:, :, 3], rtol=1e-5)
    assert np.array_equal(result.extrinsics[:, :, :3], given["extrinsics"][:, :, :3])
    assert result.depth.dtype == result.extrinsics.dtype == np.float32


def test_the_sky_is_far_and_least_sure() -> None:
    given, result = scene(), found()
    ground = 2.5 * given["depth"][:, 4:]
    assert np.allclose(result.depth[:, :4], np.quantile(ground, 0.99), rtol=1e-4)
    assert (result.confidence[:, :4] == 1).all()
    assert np.array_equal(result.confidence[:, 4:], given["confidence"][:, 4:])
    near = found(step=replace(STEP, farthest_m=3.0))
    assert (near.depth[:, :4] == 3).all()


@pytest.mark.parametrize("place", ["unsure", "near", "sky"])
def test_what_does_not_count_does_not_change_the_scale(place: str) -> None:
    given = scene()
    values, sky = given["metric"]
    depth = given["depth"].copy()
    confidence = given["confidence"].copy()
    if place == "unsure":
        confidence[0] = 1.0
        depth[0] *= 3
    elif place == "near":
        values = values.copy()
        values[0] = 1e-3
    else:
        depth[:, :4] *= 3
    result = found(depth=depth, confidence=confidence, metric=(values, sky))
    assert result.scale == pytest.approx(2.5, rel=1e-5)


def test_a_sample_of_many_values_is_the_same_at_every_call() -> None:
    few = replace(STEP, most_values=50)
    first, second = found(step=few), found(step=few)
    assert np.array_equal(first.depth, second.depth)
    assert first.depth[0, 0, 0] != found(step=replace(few, seed=1)).depth[0, 0, 0]


def test_a_scene_of_sky_has_no_metres() -> None:
    given = scene()
    values, sky = given["metric"]
    sky = np.ones_like(sky)
    sky.reshape(-1)[:10] = 0
    with pytest.raises(InputError, match="10 px of 1800 are ground, more than 10 are needed"):
        found(metric=(values, sky))
    sky.reshape(-1)[10] = 0
    assert found(metric=(values, sky)).scale > 0
