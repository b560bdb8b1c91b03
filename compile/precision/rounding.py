"""Float32 values as a narrower type would hold them, kept as float32."""

from __future__ import annotations

import torch
from torch import Tensor

from compile.targets.modes import BF16, FP16, FP32, TF32

_HALVES = {FP16: torch.float16, BF16: torch.bfloat16}
_TF32_DROPPED_BITS = 13  # of 23 mantissa bits, 10 stay


def rounded(values: Tensor, dtype: str) -> Tensor:
    """Float32 values of any shape, rounded to the nearest of a type, ties to even.

    What is out of the type's range becomes infinite. Subnormal values stay; a device may drop them.
    """
    if dtype == FP32:
        return values
    if dtype == TF32:
        return _tf32(values)
    return values.to(_HALVES[dtype]).to(torch.float32)


def _tf32(values: Tensor) -> Tensor:
    bits = values.view(torch.int32)
    last_kept = (bits >> _TF32_DROPPED_BITS) & 1
    almost_half = (1 << (_TF32_DROPPED_BITS - 1)) - 1
    nearest = (bits + almost_half + last_kept) & -(1 << _TF32_DROPPED_BITS)
    # Only finite values: the addition would turn a NaN into a number.
    return torch.where(torch.isfinite(values), nearest.view(torch.float32), values)
