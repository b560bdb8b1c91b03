"""Networks that have shapes and no numbers: their tensors are on the device `meta`."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from itertools import chain
from typing import Any, Callable, Optional, TypeVar

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from depth.family import Model, build
from depth.network.base import Network

Module = TypeVar("Module", bound=nn.Module)


def without_values(module: Module) -> Module:
    """A copy that has shapes and no numbers."""
    tensors = chain(module.parameters(), module.buffers())
    # A deep copy takes what the memo holds instead of copying.
    return copy.deepcopy(module, {id(tensor): _empty(tensor) for tensor in tensors})


def build_without_values(model: Model) -> Network:
    """A model's network at no fixed size, in eval mode: takes no memory, and no time for weights
    that nobody reads.
    """
    with _OnMeta():
        return build(model).eval().requires_grad_(False)


def _empty(tensor: Tensor) -> Tensor:
    empty = torch.empty_like(tensor, device="meta")
    return nn.Parameter(empty, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else empty


class _OnMeta(TorchFunctionMode):
    """What modules make their parameters with makes them on `meta`; torch 1.13 has no
    `torch.device("meta")` as a context.
    """

    _FACTORIES = (torch.empty, torch.zeros, torch.ones)
    _DRAWS = ("kaiming_uniform_", "uniform_", "normal_", "fill_", "zero_")

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,  # noqa: ARG002 - torch calls it with four arguments
        args: tuple[Any, ...] = (),
        kwargs: Optional[Mapping[str, Any]] = None,
    ) -> Any:
        named = dict(kwargs or {})
        if func.__name__ in self._DRAWS:
            # There is nothing to draw into, and torch would load for a second to find that out.
            return args[0] if args else named["tensor"]
        if func in self._FACTORIES:
            named["device"] = "meta"
        return func(*args, **named)
