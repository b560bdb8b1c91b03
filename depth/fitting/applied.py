"""A result whose depth is moved onto measured depth."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TypeVar

import numpy as np

from depth.errors import FitError
from depth.family import DEPTH, METRES, RELATIVE_DEPTH, RELATIVE_INVERSE, SCENE_UNITS
from depth.fitting.robust import Fitting, ScaleShift, fit
from depth.fitting.samples import Doubles, Samples
from depth.maps.fit import AUTO, IN_DEPTH, IN_INVERSE, SCALE, SCALE_SHIFT, FitBasis, FitRecord
from depth.maps.result import FloatArray, Map, Result
from depth.sizes import Size

REACH = 10.0  # of the measured range, at both ends: beyond, a fit says nothing
_ROWS = 64
_EDGE = 1e-9  # share of an end, within which depth was cut

Fitted = TypeVar("Fitted", bound=Result)


def fitted(result: Fitted, samples: Samples, image: Size, basis: FitBasis) -> Fitted:
    """The result with depth in the reference's unit, and the record of the fit.

    image  (height, width) px of the image

    `relative_inverse` gets scale and shift of inverse depth, `relative_depth` scale and shift of
    depth, and the kinds that know their zero a scale; `basis.by` may ask for another. Raises
    FitError if the result was fitted before, or the samples support no fit.
    """
    depth = result.depth
    if result.fit is not None or depth.kind == SCENE_UNITS:
        raise FitError("its depth was fitted before: fit the depth that the network gave")
    space = IN_INVERSE if depth.kind == RELATIVE_INVERSE else IN_DEPTH
    values = _values_at(depth.values, samples, image)
    targets = 1 / samples.depth if space == IN_INVERSE else samples.depth
    by = _by(basis.by, depth.kind)
    found = fit(values, targets, _weights(targets), Fitting(by=by))
    agreed = samples.some(found.inliers)
    ends = float(agreed.depth.min()) / REACH, float(agreed.depth.max()) * REACH
    whole, cut = _whole(depth.values, found.move, space, ends)
    made = _depth_of(found.move.applied(values[found.inliers]), space, ends)
    off = np.abs(made - agreed.depth)
    record = FitRecord(
        **asdict(basis),
        space=space,
        method=by,
        scale=found.move.scale,
        shift=found.move.shift,
        points=len(samples.depth),
        inliers=len(agreed.depth),
        median_error=float(np.median(off)),
        median_share=float(np.median(off / agreed.depth)),
        rms_error=float(np.sqrt(np.mean(off**2))),
        near=ends[0],
        far=ends[1],
        cut_near_px=cut[0],
        cut_far_px=cut[1],
    )
    kind = SCENE_UNITS if basis.unit is None else METRES
    maps = {**result.maps, DEPTH: Map(whole, kind)}
    return replace(result, maps=maps, fit=record)


def _by(asked: str, kind: str) -> str:
    if asked != AUTO:
        return asked
    return SCALE_SHIFT if kind in (RELATIVE_INVERSE, RELATIVE_DEPTH) else SCALE


def _values_at(values: FloatArray, samples: Samples, image: Size) -> FloatArray:
    """[N]: the value nearest to each sample. Corner pixels lie on corner pixels of the image."""
    rows, columns = (
        np.rint(places * ((side - 1) / max(whole - 1, 1))).astype(np.intp).clip(0, side - 1)
        for places, side, whole in zip((samples.y, samples.x), values.shape, image)
    )
    found: FloatArray = values[rows, columns]
    return found


def _weights(targets: Doubles) -> Doubles:
    """[N]: errors grow with a target that is over the median, and are the same below."""
    return 1 / (targets**2 + np.median(targets) ** 2)


def _whole(
    values: FloatArray, move: ScaleShift, space: str, ends: tuple[float, float]
) -> tuple[FloatArray, tuple[int, int]]:
    """[H,W] depth, and how many pixels were cut at each end. A few rows at a time are float64."""
    found = np.empty_like(values)
    near = far = 0
    for start in range(0, len(values), _ROWS):
        rows = slice(start, start + _ROWS)
        depth = _depth_of(move.applied(values[rows]), space, ends)
        near += int((depth <= ends[0] * (1 + _EDGE)).sum())
        far += int((depth >= ends[1] * (1 - _EDGE)).sum())
        found[rows] = depth
    return found, (near, far)


def _depth_of(moved: Doubles, space: str, ends: tuple[float, float]) -> Doubles:
    """Depth within its ends. What is not over 0 as inverse depth is at the far end."""
    near, far = ends
    if space == IN_DEPTH:
        return np.clip(moved, near, far)
    return 1 / np.clip(moved, 1 / far, 1 / near)
