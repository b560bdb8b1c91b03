"""Multiply-accumulates of one forward pass, counted on shapes alone: no weight is read.

linear      products with weights
attention   products of activations with each other
conv        convolutions, transposed ones too
resize      products with constants, which resize maps; torch's own resizing counts nothing
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Callable, Optional

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from compile.shapes_only import without_values

LINEAR, ATTENTION, CONV, RESIZE = KINDS = ("linear", "attention", "conv", "resize")


@dataclass(frozen=True)
class Product:
    """Matrix products of one call: sums over `depth` inputs, for `width` outputs."""

    kind: str
    macs: float
    depth: int
    width: int
    values: int = 0  # how many come out


def products(module: nn.Module, examples: Sequence[Tensor]) -> list[Product]:
    """Every product of one forward pass, for inputs of the examples' shapes."""
    shapes = without_values(module)
    counter = _Counter({id(buffer) for buffer in shapes.buffers()})
    with torch.no_grad(), counter:
        shapes(*(torch.empty_like(example, device="meta") for example in examples))
    return counter.products


def count_macs(module: nn.Module, example: Tensor) -> dict[str, int]:
    """Multiply-accumulates by kind, for an input of the example's shape."""
    found = dict.fromkeys(KINDS, 0)
    for product in products(module, [example]):
        found[product.kind] += int(product.macs)
    return found


class _Counter(TorchFunctionMode):
    def __init__(self, constants: set[int]) -> None:
        super().__init__()
        self.constants = constants
        self.products: list[Product] = []

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,  # noqa: ARG002 - torch calls it with four arguments
        args: tuple[Any, ...] = (),
        kwargs: Optional[Mapping[str, Any]] = None,
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if func in _PRODUCTS:
            kind, described = _PRODUCTS[func]
            constant = any(id(operand) in self.constants for operand in args)
            macs, depth, width = described(args[0], args[1], result)
            kind = RESIZE if constant else kind
            self.products.append(Product(kind, macs, depth, width, result.numel()))
        return result


_Described = tuple[int, int, int]  # multiply-accumulates, inputs of a sum, outputs


def _matmul(left: Tensor, right: Tensor, result: Tensor) -> _Described:
    return result.numel() * left.shape[-1], left.shape[-1], right.shape[-1]


def _linear(_x: Tensor, weight: Tensor, result: Tensor) -> _Described:
    return result.numel() * weight.shape[1], weight.shape[1], weight.shape[0]


def _conv(_x: Tensor, weight: Tensor, result: Tensor) -> _Described:
    return result.numel() * weight[0].numel(), weight.shape[1], weight.shape[0]


def _conv_transpose(x: Tensor, weight: Tensor, _result: Tensor) -> _Described:
    return x.numel() * weight[0].numel(), weight.shape[0], weight.shape[1]


_PRODUCTS: dict[Any, tuple[str, Callable[[Tensor, Tensor, Tensor], _Described]]] = {
    F.linear: (LINEAR, _linear),
    torch.matmul: (ATTENTION, _matmul),
    Tensor.matmul: (ATTENTION, _matmul),
    Tensor.__matmul__: (ATTENTION, _matmul),
    F.conv2d: (CONV, _conv),
    F.conv_transpose2d: (CONV, _conv_transpose),
}
