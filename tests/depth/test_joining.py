"""Windows of a long sequence, joined by the frames that they share."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import pytest

from depth.steps.alignment import Similarity, moved
from depth.steps.joining import DEFAULT, Joining, joined, moved_views, some_views
from depth.steps.views import Views
from tests.support.rendered import rendered

MOVES = [(0.06 * i, 0.02 * (i % 3), 0.03 * i, -0.02 * i) for i in range(6)]
PLANTED = Similarity(
    np.array([[0.6, 0, 0.8], [0, 1.0, 0], [-0.8, 0, 0.6]]), np.array([0.5, -2, 1]), 2.5
)


@pytest.fixture(scope="module")
def truth() -> Views:
    scene = rendered(moves=MOVES).scene
    rng = np.random.default_rng(0)
    sure = 1 + rng.uniform(1, 2, scene.depth.shape).astype(np.float32)
    extrinsics, intrinsics = (a.astype(np.float32) for a in (scene.extrinsics, scene.intrinsics))
    return Views(scene.depth, sure, extrinsics, intrinsics, 0)


def planted(views: Views) -> Views:
    """The same in a space of its own, from which PLANTED leads back."""
    back = Similarity(
        PLANTED.rotation.T,
        -PLANTED.rotation.T @ PLANTED.shift / PLANTED.scale,
        1 / PLANTED.scale,
    )
    depth = (views.depth / PLANTED.scale).astype(np.float32)
    return replace(
        views, depth=depth, extrinsics=moved(back, views.extrinsics)[:, :3].astype(np.float32)
    )


def off(found: Views, truth: Views) -> float:
    """The worst relative error of depth, or error of a camera."""
    seen = truth.depth > 0
    depth = np.abs(found.depth[seen] / truth.depth[seen] - 1).max()
    return max(float(depth), float(np.abs(found.extrinsics - truth.extrinsics).max()))


def test_a_window_comes_back_from_another_space(truth: Views) -> None:
    window, shared = planted(some_views(truth, slice(2, 6))), slice(2)
    joint = joined(some_views(truth, slice(2, 4)), some_views(window, shared))
    assert joint.move.scale == pytest.approx(2.5, rel=1e-5)
    assert joint.error < 1e-5
    assert off(window, some_views(truth, slice(2, 6))) > 0.5
    assert off(moved_views(window, joint.move), some_views(truth, slice(2, 6))) < 1e-3


def test_a_third_of_wrong_points_does_not_count(truth: Views) -> None:
    """Things that moved, and depth that is wrong, in one of the windows."""
    window = planted(some_views(truth, slice(2, 6)))
    depth = window.depth.copy()
    depth[:2, :, : depth.shape[2] // 3] *= 1.4
    window = replace(window, depth=depth)
    there, here = some_views(truth, slice(2, 4)), some_views(window, slice(2))
    joint = joined(there, here)
    assert joint.move.scale == pytest.approx(2.5, rel=1e-3)
    assert np.abs(joint.move.rotation - PLANTED.rotation).max() < 1e-3
    plain = joined(there, here, Joining(rounds=1, outlier=1e9))  # all points count alike
    assert abs(plain.move.scale / 2.5 - 1) > 0.02


def test_noise_is_averaged(truth: Views) -> None:
    window = planted(some_views(truth, slice(2, 6)))
    noise = np.random.default_rng(1).normal(1, 0.02, window.depth.shape)
    window = replace(window, depth=(window.depth * noise).astype(np.float32))
    joint = joined(some_views(truth, slice(2, 4)), some_views(window, slice(2)))
    assert joint.move.scale == pytest.approx(2.5, rel=2e-3)
    assert 0.005 < joint.error < 0.03


def test_noise_in_both_windows_does_not_shrink_the_sequence(truth: Views) -> None:
    """Plain least squares would shrink it by 14 % here, window after window."""
    rng, shared, logs = np.random.default_rng(2), some_views(truth, slice(2)), []
    for _ in range(12):
        noisy = [
            replace(shared, depth=(shared.depth * noise).astype(np.float32))
            for noise in rng.normal(1, 0.2, (2, *shared.depth.shape))
        ]
        logs.append(np.log(joined(*noisy).move.scale))
    assert abs(np.mean(logs)) < 3e-3


def test_without_sure_points_the_cameras_join(
    truth: Views, caplog: pytest.LogCaptureFixture
) -> None:
    there, here = some_views(truth, slice(2)), planted(some_views(truth, slice(2)))
    nothing = np.zeros_like(here.depth)
    nothing[:, 0, :4] = here.depth[:, 0, :4]
    with caplog.at_level(logging.WARNING):
        joint = joined(there, replace(here, depth=nothing))
    assert "the cameras join" in caplog.text
    assert joint.error == np.inf
    assert joint.move.scale == pytest.approx(2.5, rel=1e-4)
    assert np.abs(joint.move.rotation - PLANTED.rotation).max() < 1e-5
    empty = joined(there, replace(here, depth=np.zeros_like(here.depth)))
    assert empty.move.scale == 1  # nobody knows


def test_points_are_as_many_as_are_asked(truth: Views) -> None:
    there, here = some_views(truth, slice(2)), planted(some_views(truth, slice(2)))
    few = joined(there, here, replace(DEFAULT, most_points=50))
    assert few.move.scale == pytest.approx(2.5, rel=1e-4)
