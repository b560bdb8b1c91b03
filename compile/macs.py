"""Multiply-accumulates of one forward pass, counted on shapes alone: no weight is read.

linear      products with weights
attention   products of activations with each other
conv        convolutions, transposed ones too
resize      products with constants, which resize maps; torch's own resizing counts nothing
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Callable, Optional

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from compile.shapes_only import without_values

LINEAR, ATTENTION, CONV, RESIZE = KINDS = ("linear", "attention", "conv", "resize")


def count_macs(module: nn.Module, example: Tensor) -> dict[str, int]:
    """Multiply-accumulates by kind, for an input of the example's shape."""
    shapes = without_values(module)
    counter = _Counter({id(buffer) for buffer in shapes.buffers()})
    with torch.no_grad(), counter:
        shapes(torch.empty_like(example, device="meta"))
    return counter.macs


class _Counter(TorchFunctionMode):
    def __init__(self, constants: set[int]) -> None:
        super().__init__()
        self.constants = constants
        self.macs = dict.fromkeys(KINDS, 0)

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,  # noqa: ARG002 - torch calls it with four arguments
        args: tuple[Any, ...] = (),
        kwargs: Optional[Mapping[str, Any]] = None,
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if func in _PRODUCTS:
            kind, count = _PRODUCTS[func]
            constant = any(id(operand) in self.constants for operand in args)
            self.macs[RESIZE if constant else kind] += count(args[0], args[1], result)
        return result


def _matmul(left: Tensor, _right: Tensor, result: Tensor) -> int:
    return result.numel() * left.shape[-1]


def _linear(_x: Tensor, weight: Tensor, result: Tensor) -> int:
    return result.numel() * weight.shape[1]


def _conv(_x: Tensor, weight: Tensor, result: Tensor) -> int:
    return result.numel() * weight[0].numel()


def _conv_transpose(x: Tensor, weight: Tensor, _result: Tensor) -> int:
    return x.numel() * weight[0].numel()


_PRODUCTS: dict[Any, tuple[str, Callable[[Tensor, Tensor, Tensor], int]]] = {
    F.linear: (LINEAR, _linear),
    torch.matmul: (ATTENTION, _matmul),
    Tensor.matmul: (ATTENTION, _matmul),
    Tensor.__matmul__: (ATTENTION, _matmul),
    F.conv2d: (CONV, _conv),
    F.conv_transpose2d: (CONV, _conv_transpose),
}
