"""Scale and shift that move values onto measured targets, some of which are wrong.

A search over pairs of points for the least median of squares (Rousseeuw, 1984) finds a start that
fewer than half of wrong points cannot move. Least squares with Tukey's weights follow it.

Shapes: N points | D drawn pairs
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Optional

import numpy as np
import numpy.typing as npt

from depth.errors import FitError
from depth.maps.fit import SCALE, SCALE_SHIFT

Doubles = npt.NDArray[np.float64]
Numbers = npt.NDArray[Any]  # of any float dtype

_NORMAL = 1.4826  # standard deviation of normal errors per median of their sizes
_TUKEY = 4.685  # standard deviations, from which on a point has no weight in the fit
_INLIER = 3.0  # standard deviations, up to which a point is an inlier
_EXACT = 1e-6  # share of the targets' size: smaller errors are those of float32
_LEAST_SHARE = 1e-12
_TINY = float(np.finfo(np.float64).tiny)


@dataclass(frozen=True)
class Fitting:
    """The parameters of `fit`."""

    by: str = SCALE_SHIFT  # of FIT_METHODS
    fewest: int = 8  # points, and inliers; with scale only, `fewest_for_scale`
    fewest_for_scale: int = 3
    draws: int = 500
    most_judged: int = 2000  # points that judge a draw
    seed: int = 0
    rounds: int = 50
    settled: float = 1e-9  # change of the fit, as a share, below which the rounds end
    explained: float = 0.7  # median error after the fit to that of a constant, at most
    scale_error: float = 0.2  # of three standard errors of the scale to the scale, at most
    off: float = 0.1  # scale only: median error to median target, that is always fine

    @property
    def least(self) -> int:
        return self.fewest_for_scale if self.by == SCALE else self.fewest


DEFAULT = Fitting()


@dataclass(frozen=True)
class ScaleShift:
    """value -> scale * value + shift."""

    scale: float
    shift: float = 0.0

    def applied(self, values: Numbers) -> Doubles:
        """The moved values, in float64."""
        return self.scale * values.astype(np.float64) + self.shift


@dataclass(frozen=True, eq=False)
class Fit:
    """A fit, and how well each point agrees.

    residuals  [N] moved value less target, in the target's unit
    inliers    [N] whether the point agrees with the fit
    """

    move: ScaleShift
    residuals: Doubles
    inliers: npt.NDArray[np.bool_]

    @property
    def median(self) -> float:
        """The median size of the inliers' residuals."""
        return float(np.median(np.abs(self.residuals[self.inliers])))

    @property
    def rmse(self) -> float:
        """The root of the mean squared residual of the inliers."""
        return float(np.sqrt(np.mean(self.residuals[self.inliers] ** 2)))


@dataclass(frozen=True, eq=False)
class _Points:
    """Points that count, with the root of their weights: errors are judged times the root."""

    values: Doubles  # [N]
    targets: Doubles  # [N]
    roots: Doubles  # [N]

    def some(self, chosen: npt.NDArray[np.intp]) -> _Points:
        return _Points(self.values[chosen], self.targets[chosen], self.roots[chosen])

    def off(self, move: ScaleShift) -> Doubles:
        """[N]: the size of each error, weighted."""
        return np.abs(move.applied(self.values) - self.targets) * self.roots

    def exact(self) -> float:
        """An error below which a point fits exactly."""
        sizes = np.abs(self.targets) * self.roots
        return _EXACT * float(np.median(sizes) or sizes.max())


def fit(
    values: Numbers,
    targets: Numbers,
    weights: Optional[Numbers] = None,
    step: Fitting = DEFAULT,
) -> Fit:
    """Scale and shift, or scale alone, with which values agree best with targets.

    values   [N] of the network
    targets  [N] measured; fewer than half may be wrong
    weights  [N] as in least squares: one over the variance of a target's error. Without them every
             target has the same error. A point of weight 0, or with a value that is not finite,
             takes no part and is no inlier

    Raises FitError if too few points agree, if their values or targets hardly differ, if the fit
    explains them no better than a constant, or if larger values have smaller targets.
    """
    values, targets = values.astype(np.float64), targets.astype(np.float64)
    weights = np.ones_like(values) if weights is None else weights.astype(np.float64)
    if not values.shape == targets.shape == weights.shape or values.ndim != 1:
        raise FitError(f"{values.shape} values, {targets.shape} targets: expected [N] of each")
    counts = np.isfinite(values) & np.isfinite(targets) & (weights > 0) & np.isfinite(weights)
    _check_count(int(counts.sum()), "points", step)
    points = _Points(values[counts], targets[counts], np.sqrt(weights[counts]))
    _check_spread(points, step)
    move, limit = _refined(points, _searched(points, step), step)
    inliers = counts.copy()
    inliers[counts] = points.off(move) <= limit
    _check(points, points.some(np.flatnonzero(inliers[counts])), move, step)
    return Fit(move, move.applied(values) - targets, inliers)


def _searched(points: _Points, step: Fitting) -> ScaleShift:
    """The move through two points, or one, that has the least median error over all."""
    rng = np.random.default_rng(step.seed)
    count = len(points.values)
    judges = points
    if count > step.most_judged:
        judges = points.some(rng.choice(count, step.most_judged, replace=False))
    scales, shifts = _drawn(judges, rng, step)
    off = np.abs(scales[:, None] * judges.values + shifts[:, None] - judges.targets) * judges.roots
    best = int(np.argmin(np.median(off, axis=1)))
    return ScaleShift(float(scales[best]), float(shifts[best]))


def _drawn(points: _Points, rng: np.random.Generator, step: Fitting) -> tuple[Doubles, Doubles]:
    """[D] scales and shifts, each of points drawn at random; such as settle no scale are left."""
    first, other = rng.integers(0, len(points.values), (2, step.draws))
    values, targets = points.values, points.targets
    run, rise = values[first], targets[first]
    if step.by == SCALE_SHIFT:
        run, rise = run - values[other], rise - targets[other]
    settles = run != 0
    if not settles.any():
        raise FitError("the network's values at the points are all the same: they fix no scale")
    first = first[settles]
    scales = rise[settles] / run[settles]
    shifts = targets[first] - scales * values[first]
    return scales, shifts if step.by == SCALE_SHIFT else np.zeros_like(scales)


def _refined(points: _Points, move: ScaleShift, step: Fitting) -> tuple[ScaleShift, float]:
    """The move by least squares, with weights that fall with the error; the limit of inliers."""
    for _ in range(step.rounds):
        off = points.off(move)
        reach = _TUKEY * _deviation(points, off)
        shares = np.clip(1 - (off / reach) ** 2, 0, None) ** 2 * points.roots**2
        before, move = move, _least_squares(points, shares, step)
        change = np.abs(move.applied(points.values) - before.applied(points.values))
        if change.max() <= step.settled * np.abs(points.targets).max():
            break
    return move, _INLIER * _deviation(points, points.off(move))


def _deviation(points: _Points, off: Doubles) -> float:
    """The standard deviation of the errors of points that are not wrong."""
    return max(_NORMAL * float(np.median(off)), points.exact())


def _least_squares(points: _Points, weights: Doubles, step: Fitting) -> ScaleShift:
    shares = weights / weights.sum()
    if step.by == SCALE:
        spread = max(float(shares @ points.values**2), _TINY)
        return ScaleShift(float(shares @ (points.values * points.targets)) / spread)
    middle, aim = float(shares @ points.values), float(shares @ points.targets)
    values, targets = points.values - middle, points.targets - aim
    spread = max(float(shares @ values**2), _LEAST_SHARE * middle**2 + _TINY)
    scale = float(shares @ (values * targets)) / spread
    return ScaleShift(scale, aim - scale * middle)


def _check_count(count: int, what: str, step: Fitting) -> None:
    if count < step.least:
        raise FitError(f"{count} {what}: a fit by {step.by} needs at least {step.least}")


def _check_spread(points: _Points, step: Fitting) -> None:
    """Points of one depth fix a scale, but no shift beside it."""
    if not np.any(points.values):
        raise FitError("the network's values at the points are all 0")
    if not np.any(points.targets):
        raise FitError("the targets at the points are all 0")
    if step.by == SCALE:
        return
    for values, what in (points.values, "network's values"), (points.targets, "measured depths"):
        low, high = np.quantile(values, [0.05, 0.95])
        if high - low <= 1e-3 * np.abs(values).max():
            raise FitError(
                f"the {what} at the points hardly differ ({low:.6g} to {high:.6g}): no scale and "
                "shift follow from them. Add points that are nearer or farther"
            )


def _check(points: _Points, agreeing: _Points, move: ScaleShift, step: Fitting) -> None:
    """Whether the points support the move that was found."""
    _check_count(len(agreeing.values), "points that agree", step)
    if move.scale <= 0:
        raise FitError(
            f"the scale would be {move.scale:.6g}: larger values of the network have smaller "
            "targets. Check that the reference is of this image, and that it is depth"
        )
    _check_explained(points, move, step)
    error = 3 * _scale_error(agreeing, move, step)
    if error > step.scale_error * move.scale:
        raise FitError(
            f"the scale is known only to {100 * error / move.scale:.0f} % (allowed "
            f"{100 * step.scale_error:.0f} %): add points, nearer and farther"
        )


def _check_explained(points: _Points, move: ScaleShift, step: Fitting) -> None:
    """Values that have nothing to do with the targets fit no better than a constant."""
    error = float(np.median(points.off(move)))
    middle = ScaleShift(0.0, float(np.median(points.targets)))
    allowed = step.explained * float(np.median(points.off(middle)))
    if step.by == SCALE:
        size = float(np.median(np.abs(points.targets) * points.roots))
        allowed = max(allowed, step.off * size)
    if error > max(allowed, points.exact()):
        raise FitError(
            f"half of the points are off by {error:.4g} and more after the fit (allowed "
            f"{allowed:.4g}): the reference does not agree with what the network sees. Check "
            "that it is of this image"
        )


def _scale_error(points: _Points, move: ScaleShift, step: Fitting) -> float:
    """The standard error of the scale."""
    weights = points.roots**2
    shares = weights / weights.sum()
    middle = 0.0 if step.by == SCALE else float(shares @ points.values)
    spread = float(weights @ (points.values - middle) ** 2)
    free = len(points.values) - (1 if step.by == SCALE else 2)
    variance = float((points.off(move) ** 2).sum()) / free
    return float(np.sqrt(variance / max(spread, _TINY)))
