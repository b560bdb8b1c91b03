"""Tracing a network that has shapes and no numbers: the graph of a trace with numbers, without its
memory and without its work.

torch records a convolution where the tensors have a device with kernels, and not on `meta`. So it
is called by its other name, which torch records everywhere, and computed as the first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Callable, Optional, Union

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

_SETTINGS = (False, False, True, True)  # of a trace with numbers: benchmark, deterministic, ...
Pair = Union[int, Sequence[int]]


@contextmanager
def shapes_traceable() -> Iterator[None]:
    """Inside, `torch.jit.trace` takes modules and examples that are on the device `meta`."""
    with _Named(), _Computed():  # type: ignore[no-untyped-call]
        yield


class _Named(TorchFunctionMode):
    """Convolutions become `aten::_convolution`, as they are called in a graph."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,  # noqa: ARG002 - torch calls it with four arguments
        args: tuple[Any, ...] = (),
        kwargs: Optional[Mapping[str, Any]] = None,
    ) -> Any:
        convolution = _CONVOLUTIONS.get(func)
        on_meta = bool(args) and isinstance(args[0], Tensor) and args[0].is_meta
        if convolution is None or not on_meta:
            return func(*args, **(kwargs or {}))
        return convolution(*args, **(kwargs or {}))


class _Computed(TorchDispatchMode):
    """`aten::_convolution` has no kernel for `meta`, and `aten::convolution` has one."""

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,  # noqa: ARG002 - torch calls it with four arguments
        args: tuple[Any, ...] = (),
        kwargs: Optional[Mapping[str, Any]] = None,
    ) -> Any:
        if func is torch.ops.aten._convolution.default and args[0].is_meta:
            return torch.ops.aten.convolution.default(*args[: -len(_SETTINGS)])
        return func(*args, **(kwargs or {}))


def _conv2d(
    x: Tensor,
    weight: Tensor,
    bias: Optional[Tensor] = None,
    stride: Pair = 1,
    padding: Pair = 0,
    dilation: Pair = 1,
    groups: int = 1,
) -> Tensor:
    sizes = (_pair(stride), _pair(padding), _pair(dilation), False, [0, 0], groups)
    return torch._convolution(x, weight, bias, *sizes, *_SETTINGS)


def _conv_transpose2d(
    x: Tensor,
    weight: Tensor,
    bias: Optional[Tensor] = None,
    stride: Pair = 1,
    padding: Pair = 0,
    output_padding: Pair = 0,
    groups: int = 1,
    dilation: Pair = 1,
) -> Tensor:
    sizes = (_pair(stride), _pair(padding), _pair(dilation), True, _pair(output_padding), groups)
    return torch._convolution(x, weight, bias, *sizes, *_SETTINGS)


_CONVOLUTIONS: dict[Any, Callable[..., Tensor]] = {
    F.conv2d: _conv2d,
    F.conv_transpose2d: _conv_transpose2d,
}


def _pair(value: Pair) -> list[int]:
    return [value, value] if isinstance(value, int) else list(value)
