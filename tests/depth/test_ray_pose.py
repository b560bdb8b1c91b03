"""Cameras from rays."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from depth.errors import InputError
from depth.steps.cameras import Cameras
from depth.steps.ray_pose import DEFAULT, cameras_of_rays
from tests.support.ray_samples import SIZE, rays_of, sample_cameras


def near(found: Cameras, expected: Cameras, limit: float) -> None:
    for name in ("extrinsics", "intrinsics"):
        a, b = getattr(found, name), getattr(expected, name)
        assert a.dtype == np.float32
        assert np.abs(a - b).max() <= limit * np.abs(b).max(), name


def test_the_cameras_of_exact_rays_come_back() -> None:
    cameras = sample_cameras()
    near(cameras_of_rays(*rays_of(cameras), SIZE), cameras, 1e-5)


def test_rays_that_do_not_agree_do_not_count() -> None:
    cameras = sample_cameras()
    rays, confidence = rays_of(cameras)
    wrong = np.random.default_rng(0).random(confidence.shape) < 0.3
    rays[wrong, :3] = (5, -4, 1)
    confidence[wrong] = 1.4
    near(cameras_of_rays(rays, confidence, SIZE, replace(DEFAULT, error=0.05)), cameras, 0.2)
    found = cameras_of_rays(rays, confidence, SIZE).intrinsics
    assert np.abs(found - cameras.intrinsics).max() < 1e-3 * cameras.intrinsics.max()


def test_few_rays_for_the_last_fit_and_the_same_at_every_call() -> None:
    cameras = sample_cameras(2)
    rays, confidence = rays_of(cameras, noise=0.003)
    few = replace(DEFAULT, most=60)
    first, second = (cameras_of_rays(rays, confidence, SIZE, few) for _ in range(2))
    near(first, second, 0.0)
    near(first, cameras, 0.05)
    other = cameras_of_rays(rays, confidence, SIZE, replace(few, seed=1))
    assert np.abs(other.extrinsics - first.extrinsics).max() > 0


def test_rays_along_the_plane_do_not_count() -> None:
    cameras = sample_cameras(1)
    rays, confidence = rays_of(cameras)
    rays[0, 0, :, 2] = 0
    rays[0, 0, :, 3:] = 1e3
    near(cameras_of_rays(rays, confidence, SIZE), cameras, 1e-5)


def test_rays_of_no_camera_are_refused() -> None:
    rays, confidence = rays_of(sample_cameras(2))
    rays[1, ..., 2] = 0
    with pytest.raises(InputError, match="view 1: its rays agree with no camera"):
        cameras_of_rays(rays, confidence, SIZE)
    with pytest.raises(InputError, match="rays: 4 of a view, at least 8 are needed"):
        cameras_of_rays(rays[:, :2, :2], confidence[:, :2, :2], SIZE)
