"""Scale and shift between two arrays of samples, some of which are wrong."""

from __future__ import annotations

import numpy as np
import pytest

from depth.errors import FitError
from depth.fitting.robust import Fitting, ScaleShift, fit
from depth.maps.fit import FIT_METHODS, SCALE, SCALE_SHIFT

TRUTH = {SCALE: ScaleShift(0.037), SCALE_SHIFT: ScaleShift(0.037, -0.3)}
BY_SCALE = Fitting(by=SCALE)


def samples(by: str, seed: int, outliers: float = 0.2, noise: float = 0.01, count: int = 2000):
    """Values, targets of 1 m to 20 m in inverse depth, weights, and which of them are wrong."""
    rng = np.random.default_rng(seed)
    targets = 1 / np.exp(rng.uniform(0, np.log(20), count))
    values = (targets - TRUTH[by].shift) / TRUTH[by].scale
    targets = targets * (1 + noise * rng.standard_normal(count))
    wrong = rng.random(count) < outliers
    targets[wrong] = 1 / np.exp(rng.uniform(0, np.log(20), wrong.sum()))
    return values, targets, 1 / targets**2, wrong


@pytest.mark.parametrize("by", FIT_METHODS)
@pytest.mark.parametrize("outliers", [0.0, 0.2, 0.4])
def test_scale_and_shift_are_found_within_half_a_percent(by, outliers):
    for seed in range(5):
        values, targets, weights, wrong = samples(by, seed, outliers)
        found = fit(values, targets, weights, Fitting(by=by))
        assert found.move.scale == pytest.approx(TRUTH[by].scale, rel=0.005)
        assert found.move.shift == pytest.approx(TRUTH[by].shift, rel=0.005)
        assert found.inliers[~wrong].mean() > 0.98
        assert found.inliers[wrong].sum() <= 0.15 * wrong.sum()
        assert found.median < found.rmse < 0.02


def test_residuals_are_moved_values_less_targets_and_weightless_points_take_no_part():
    values, targets, weights, _ = samples(SCALE_SHIFT, 0, outliers=0)
    targets[:9], weights[:9] = 100, 0
    values[9], targets[10] = np.nan, np.inf
    found = fit(values, targets, weights)
    assert not found.inliers[:11].any()
    assert found.move.scale == pytest.approx(0.037, rel=0.005)
    assert found.residuals[11:] == pytest.approx((found.move.applied(values) - targets)[11:])


def test_exact_float32_samples_are_all_inliers():
    values = np.linspace(1, 9, 40, dtype=np.float32)
    found = fit(values, 2 * values + 1)
    assert found.inliers.all()
    assert found.move.scale == pytest.approx(2)
    assert found.move.shift == pytest.approx(1)


def test_points_of_one_depth_fix_a_scale_and_nothing_else():
    values, targets = np.full(20, 4.0), np.linspace(7.9, 8.1, 20)
    assert fit(values, targets, step=BY_SCALE).move == ScaleShift(pytest.approx(2, rel=0.01))
    with pytest.raises(FitError, match="network's values at the points hardly differ"):
        fit(values, targets)
    with pytest.raises(FitError, match="measured depths at the points hardly differ"):
        fit(np.linspace(1, 2, 20), np.full(20, 8.0))


def test_noise_as_large_as_the_spread_is_refused():
    rng = np.random.default_rng(0)
    values = 4 + 0.1 * rng.standard_normal(40)
    with pytest.raises(FitError, match=r"known only to \d+ %|half of the points are off"):
        fit(values, 2 * values + 0.1 * rng.standard_normal(40))


@pytest.mark.parametrize("by", FIT_METHODS)
def test_targets_of_another_image_are_refused(by):
    for seed in range(20):
        values, targets, weights, _ = samples(by, seed, outliers=1, count=8 + 20 * seed)
        with pytest.raises(FitError):
            fit(values, targets, weights, Fitting(by=by))


def test_values_that_fall_where_targets_rise_are_refused():
    values = np.linspace(1, 9, 40)
    with pytest.raises(FitError, match="larger values of the network have smaller targets"):
        fit(values, 20 - values)


@pytest.mark.parametrize(("by", "count"), [(SCALE, 2), (SCALE_SHIFT, 7)])
def test_too_few_points_are_refused(by, count):
    values = np.linspace(1, 9, count + 1)
    assert fit(values, values, step=Fitting(by=by)).inliers.all()
    with pytest.raises(FitError, match=f"{count} points: a fit by {by} needs at least {count + 1}"):
        fit(values[1:], values[1:], step=Fitting(by=by))


@pytest.mark.parametrize("step", [BY_SCALE, Fitting()])
def test_values_of_zero_are_refused(step):
    with pytest.raises(FitError, match="are all 0"):
        fit(np.zeros(20), np.linspace(1, 9, 20), step=step)


def test_arrays_of_different_lengths_are_refused():
    with pytest.raises(FitError, match="expected"):
        fit(np.ones(20), np.ones(21))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("by", FIT_METHODS)
@pytest.mark.parametrize("zeros", [0.6, 1.0])
def test_targets_of_zero_are_refused(by, zeros):
    rng = np.random.default_rng(0)
    targets = np.where(rng.random(500) < zeros, 0, rng.random(500))
    with pytest.raises(FitError):
        fit(rng.random(500), targets, step=Fitting(by=by))
