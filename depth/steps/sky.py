"""Depth of the sky, which a network cannot know: as far as the far end of everything else."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from depth.artifact.steps import SkyToFar
from depth.maps.result import FloatArray


def sky_to_far(depth: FloatArray, sky: FloatArray, step: SkyToFar) -> FloatArray:
    """Depth in which every sky pixel has a quantile of the depth of all others.

    Shapes: depth, sky [H,W], or [S,H,W] for views that share one quantile. The depth is returned
    as it is where either side has no more than `step.least_pixels`. Given equal draws, the numbers
    of `_process_mono_sky_estimation` in upstream's model/da3.py, which draws without a seed.
    """
    ground = sky < step.threshold
    count = int(ground.sum())
    if min(count, ground.size - count) <= step.least_pixels:
        return depth
    values = depth[ground]
    if count > step.most_values:
        values = values[drawn(count, step.most_values, step.seed)]
    return np.where(ground, depth, quantile(values, step.quantile))


def drawn(count: int, most: int, seed: int) -> npt.NDArray[np.int64]:
    """`most` positions out of `count`, with replacement: the same for the same seed."""
    return np.random.default_rng(seed).integers(0, count, most)


def quantile(values: FloatArray, share: float) -> np.float32:
    """As `torch.quantile` of float32: in float32, linear between the two nearest values.

    NaN if a value is NaN.
    """
    if np.isnan(values).any():
        return np.float32(np.nan)
    rank = np.float32(share) * np.float32(values.size - 1)
    below, above = int(rank), math.ceil(rank)
    ordered = np.partition(values, (below, above))
    low, high = ordered[below], ordered[above]
    weight = rank - np.float32(below)
    step = high - low
    if weight < 0.5:  # each end exactly, as torch's lerp
        return np.float32(low + weight * step)
    return np.float32(high - step * (np.float32(1) - weight))
