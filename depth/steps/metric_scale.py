"""Metres for a scene whose scale nobody knows, from a second network that knows metres."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from depth.artifact.steps import ScaleToMetres
from depth.errors import InputError
from depth.maps.result import FloatArray
from depth.steps.sky import drawn, quantile


@dataclass(frozen=True)
class MetricScene:
    """A scene in metres. The sky is as far as the far end of the ground, and least sure."""

    depth: FloatArray  # [S,H,W]
    confidence: FloatArray  # [S,H,W]
    extrinsics: FloatArray  # [S,3,4]
    scale: float  # metres per unit of the scene before


def in_metres(
    depth: FloatArray,
    confidence: FloatArray,
    extrinsics: FloatArray,
    focal_px: FloatArray,
    metric: tuple[FloatArray, FloatArray],
    step: ScaleToMetres,
) -> MetricScene:
    """The scene times the factor that fits it best to the metric network, by least squares.

    depth, confidence, extrinsics  of the scene, [S,H,W], [S,H,W], [S,3,4]
    focal_px  [S], the mean of fx and fy that the scene has
    metric    depth and sky of the metric network, [S,H,W] each

    Fits where it is ground, and at least as sure as its median. As `NestedDepthAnything3Net` in
    upstream's model/da3.py, whose draws have no seed. Raises InputError if too little is ground.
    """
    values, sky = metric
    ground = sky < step.sky
    if ground.sum() <= step.least_pixels:
        raise InputError(
            f"metres: {ground.sum()} px of {ground.size} are ground, more than "
            f"{step.least_pixels} are needed; all the rest is sky"
        )
    metres = values * (focal_px / np.float32(step.divisor))[:, None, None]
    sure = quantile(_sampled(confidence[ground], step), 0.5)
    fits = ground & (confidence >= sure) & (metres > step.least_metres) & (depth > step.least_depth)
    scale = np.float32(_factor(metres[fits], depth[fits]))
    scaled = depth * scale
    moved = extrinsics.copy()
    moved[:, :, 3] *= scale
    values = scaled[ground]
    if values.size > step.most_values:
        values = values[drawn(values.size, step.most_values, step.seed)]
    far = min(quantile(values, step.far), np.float32(step.farthest_m))
    return MetricScene(
        np.where(ground, scaled, far),
        np.where(ground, confidence, np.float32(1)),
        moved,
        float(scale),
    )


def _factor(wanted: FloatArray, given: FloatArray) -> float:
    """The factor of `given` with the least squared distance from `wanted`."""
    doubles = given.astype(np.float64)
    return float(doubles @ wanted.astype(np.float64) / max(float(doubles @ doubles), 1e-12))


def _sampled(values: FloatArray, step: ScaleToMetres) -> FloatArray:
    if values.size <= step.most_values:
        return values
    chosen = np.random.default_rng(step.seed).permutation(values.size)[: step.most_values]
    return values[chosen]
