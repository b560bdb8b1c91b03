"""Scale- and shift-invariant losses in inverse depth.

Ranftl et al., "Towards Robust Monocular Depth Estimation", 2020 (MiDaS).

Shapes: B batch | H W pixels
"""

from __future__ import annotations

import torch
from torch import Tensor

SCALES = 4  # of the gradient term: strides 1, 2, 4, 8 px
INVARIANT_WEIGHT = 0.5
GRADIENT_WEIGHT = 0.5
FLOOR = 0.15  # of the mean: how much more a far pixel counts than a near one is limited by it
HIGHEST = 6.0  # means: what is nearer counts as this near in the direct term
NEGATIVE_WEIGHT = 0.5


def total_loss(raw: Tensor, inverse: Tensor) -> Tensor:
    """Loss of the network's output before its last ReLU, [B,H,W], against inverse depth [B,H,W].

    A direct term (the truth over its mean) settles the level early on, where an invariant term
    alone learns slowly: it forces full contrast on a prediction that knows nothing yet. The value
    is taken before the ReLU because a pixel below zero would have no gradient; such pixels cost
    extra instead.
    """
    weights = _weights(inverse)
    share = inverse / (inverse.mean(dim=(1, 2), keepdim=True) + 1e-6)
    direct = ((raw - share.clamp(max=HIGHEST)).abs() * weights).mean()
    difference = normalise(raw) - normalise(inverse)
    invariant = (difference.abs() * weights).mean()
    slopes = gradient_loss(difference)
    negative = (0.02 - raw).clamp(min=0).mean()
    return (
        direct
        + INVARIANT_WEIGHT * invariant
        + GRADIENT_WEIGHT * slopes
        + NEGATIVE_WEIGHT * negative
    )


def normalise(x: Tensor) -> Tensor:
    """Median 0 and mean absolute deviation 1, per image."""
    flat = x.flatten(1)
    centred = flat - flat.median(dim=1, keepdim=True).values
    spread = centred.abs().mean(dim=1, keepdim=True)
    return (centred / (spread + 1e-4)).reshape(x.shape)


def gradient_loss(difference: Tensor) -> Tensor:
    """Slopes per pixel that only one of the two maps has, at several scales."""
    loss = difference.new_zeros(())
    for scale in range(SCALES):
        part = difference[:, :: 2**scale, :: 2**scale]
        across = (part[:, :, 1:] - part[:, :, :-1]).abs().mean()
        down = (part[:, 1:, :] - part[:, :-1, :]).abs().mean()
        loss = loss + (across + down) / 2**scale
    return loss


def _weights(inverse: Tensor) -> Tensor:
    """Mean 1; errors count relative to the depth, roughly."""
    with torch.no_grad():
        mean = inverse.mean(dim=(1, 2), keepdim=True)
        weights = 1 / (inverse + FLOOR * mean + 1e-6)
        return weights / weights.mean(dim=(1, 2), keepdim=True)
