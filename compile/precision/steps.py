"""Operators that a compiler splits into several, each with a rounded result.

Sums run over float32, as the hardware's do; only what is stored between two steps is rounded.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Callable

from torch import Tensor


def layer_norm(
    x: Tensor, shape: Sequence[int], weight: Tensor, bias: Tensor, eps: float
) -> Tensor:  # [...,D] -> [...,D]
    """Layer normalisation; the square of an outlier is what overflows float16."""
    over = tuple(range(-len(shape), 0))
    centred = x - x.mean(over, keepdim=True)
    variance = (centred * centred).mean(over, keepdim=True)
    return centred * (variance + eps).rsqrt() * weight + bias


def softmax(x: Tensor, dim: int) -> Tensor:
    """Softmax with the largest value taken off first, as every implementation does."""
    powers = (x - x.amax(dim, keepdim=True)).exp()
    return powers / powers.sum(dim, keepdim=True)


STEPS: dict[str, Callable[..., Tensor]] = {"layer_norm": layer_norm, "softmax": softmax}
