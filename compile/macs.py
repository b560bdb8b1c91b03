"""Multiply-accumulates of one forward pass, counted on shapes alone: no weight is read.

linear      products with weights
attention   products of activations with each other
conv        convolutions, transposed ones too
resize      products with constants, which resize maps; torch's own resizing counts nothing
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from typing import Any, Callable, Optional

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from compile.products import ATTENTION, CONV, KINDS, LINEAR, RESIZE, Product
from compile.shapes_only import without_values


def count_macs(module: nn.Module, *examples: Tensor) -> dict[str, int]:
    """Multiply-accumulates by kind, for inputs of the examples' shapes."""
    found = dict.fromkeys(KINDS, 0)
    for product in products(module, *examples):
        found[product.kind] += product.macs
    return found


def products(module: nn.Module, *examples: Tensor) -> list[Product]:
    """Every product of one forward pass, in its order."""
    tensors = chain(module.parameters(), module.buffers())
    shapes = module if all(tensor.is_meta for tensor in tensors) else without_values(module)
    counter = _Counter({id(buffer) for buffer in shapes.buffers()})
    with torch.no_grad(), counter:
        shapes(*(torch.empty_like(example, device="meta") for example in examples))
    return counter.found


class _Counter(TorchFunctionMode):
    def __init__(self, constants: set[int]) -> None:
        super().__init__()
        self.constants = constants
        self.found: list[Product] = []

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
            sizes = count(args[0], args[1], result)
            self.found.append(Product(RESIZE if constant else kind, *sizes))
        return result


Sizes = tuple[int, int, int]  # multiply-accumulates, inputs per sum, outputs


def _matmul(left: Tensor, _right: Tensor, result: Tensor) -> Sizes:
    depth = left.shape[-1]
    return result.numel() * depth, depth, result.shape[-1]


def _linear(_x: Tensor, weight: Tensor, result: Tensor) -> Sizes:
    width, depth = weight.shape
    return result.numel() * depth, depth, width


def _conv(_x: Tensor, weight: Tensor, result: Tensor) -> Sizes:
    return result.numel() * weight[0].numel(), weight.shape[1], weight.shape[0]


def _conv_transpose(x: Tensor, weight: Tensor, _result: Tensor) -> Sizes:
    # Every input pixel is multiplied with all taps.
    return x.numel() * weight[0].numel(), weight.shape[0], weight.shape[1]


_PRODUCTS: dict[Any, tuple[str, Callable[[Tensor, Tensor, Tensor], Sizes]]] = {
    F.linear: (LINEAR, _linear),
    torch.matmul: (ATTENTION, _matmul),
    Tensor.matmul: (ATTENTION, _matmul),
    Tensor.__matmul__: (ATTENTION, _matmul),
    F.conv2d: (CONV, _conv),
    F.conv_transpose2d: (CONV, _conv_transpose),
}
