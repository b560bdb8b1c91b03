"""A network's forward pass with the casts of a precision mode, on the CPU.

Sees every torch function that the forward calls and rounds what goes in or comes out:

    matrix products   both factors to the mode's type; the products are summed in float32
    all other values  after each operator, if the mode casts everything; weights as well
    transposes        if the mode sends them through the matrix engine
    input and output  if they are float16
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, Callable, Optional

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from compile.errors import PrecisionError
from compile.precision.rounding import rounded
from compile.precision.steps import STEPS
from compile.targets.modes import Mode

# What runs on the matrix engine, with the places of its two factors among the arguments.
PRODUCTS: dict[str, tuple[int, int]] = {
    **dict.fromkeys(("linear", "matmul", "__matmul__", "mm", "bmm"), (0, 1)),
    **dict.fromkeys(("conv1d", "conv2d", "conv_transpose1d", "conv_transpose2d"), (0, 1)),
    **dict.fromkeys(("addmm", "baddbmm", "einsum"), (1, 2)),
}
TRANSPOSES = {"transpose", "permute", "t"}
# They move values that are rounded already. An operator missing here costs only time.
MOVES = {"reshape", "flatten", "view", "chunk", "squeeze", "unsqueeze", "expand", "__getitem__"}
MOVES |= {"constant_pad_nd", "contiguous"} | TRANSPOSES


class Casts(TorchFunctionMode):
    """Runs a network with a mode's casts, and with the weights that it has now: rounded once.

    `overflow` says where a value first left a type's range, or is None.
    """

    def __init__(self, network: nn.Module, mode: Mode) -> None:
        super().__init__()
        self.overflow: Optional[str] = None
        self._network = network
        self._mode = mode
        self._running: list[str] = []  # paths of the modules whose forward we are in
        dtype = mode.everything or mode.matmul
        # By the weight's id: the network keeps its weights alive, so that each id stays unique.
        self._rounded = {id(weight): rounded(weight, dtype) for weight in _weights(network)}

    def run(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """One forward pass: float32 inputs, as [B,3,H,W] -> the network's outputs, float32."""
        mode = self._mode
        given = [self._round(values, mode.io, "input") for values in inputs]
        if mode.everything is not None:
            given = [self._round(values, mode.everything, "input") for values in given]
        with torch.no_grad(), _paths(self._network, self._running), self:
            found = self._network(*given)
        outputs = found if isinstance(found, tuple) else (found,)
        return tuple(self._round(output, mode.io, "output") for output in outputs)

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,  # noqa: ARG002
        args: tuple[Any, ...] = (),
        kwargs: Optional[Mapping[str, Any]] = None,
    ) -> Any:
        name = func.__name__
        named = dict(kwargs or {})
        if self._mode.everything is not None:
            weight = partial(self._weight, self._mode.everything, name)
            args = tuple(map(weight, args))
            named = {key: weight(value) for key, value in named.items()}
            if name in STEPS:
                with self:
                    return STEPS[name](*args, **named)
        # Where everything is rounded to the same type, the factors are already.
        if name in PRODUCTS and self._mode.matmul != self._mode.everything:
            args = self._factors(name, args)
        return self._stored(func(*args, **named), name)

    def _factors(self, name: str, args: tuple[Any, ...]) -> tuple[Any, ...]:
        places = PRODUCTS[name]
        if len(args) <= max(places):
            raise PrecisionError(f"{name} in {self._where()}: pass both factors by position")
        return tuple(
            self._round(value, self._mode.matmul, name) if place in places else value
            for place, value in enumerate(args)
        )

    def _stored(self, result: Any, name: str) -> Any:
        """An operator's result as it is kept until the next one."""
        if not isinstance(result, Tensor) or result.dtype != torch.float32:
            return result
        if name in TRANSPOSES and self._mode.relayout is not None:
            return self._round(result, self._mode.relayout, name)
        if name not in MOVES and self._mode.everything is not None:
            return self._round(result, self._mode.everything, name)
        return result

    def _weight(self, dtype: str, name: str, value: Any) -> Any:
        return self._round(value, dtype, name) if id(value) in self._rounded else value

    def _round(self, values: Tensor, dtype: str, name: str) -> Tensor:
        result = self._rounded.get(id(values))
        if result is None:
            result = rounded(values, dtype)
        if self.overflow is None and _escaped(result):
            self.overflow = f"a value leaves the range of {dtype} in {self._where()} ({name})"
        return result

    def _where(self) -> str:
        return next((path for path in reversed(self._running) if path), "the network")


def _weights(network: nn.Module) -> Iterator[Tensor]:
    """Parameters, buffers, and tensors that a module holds as plain attributes."""
    yield from network.parameters()
    yield from network.buffers()
    for module in network.modules():
        yield from (value for value in vars(module).values() if isinstance(value, Tensor))


def _escaped(values: Tensor) -> bool:
    # The sum is cheap and tells nearly always; a sum that overflows by itself is looked into.
    return not bool(torch.isfinite(values.sum())) and not bool(torch.isfinite(values).all())


@contextmanager
def _paths(network: nn.Module, running: list[str]) -> Iterator[None]:
    """Keep `running` up to date with the modules whose forward is under way."""

    def entered(path: str, _module: nn.Module, _arguments: object) -> None:
        running.append(path)

    def left(_module: nn.Module, _arguments: object, _result: object) -> None:
        running.pop()

    running.clear()
    handles = []
    for path, module in network.named_modules():
        handles.append(module.register_forward_pre_hook(partial(entered, path)))
        handles.append(module.register_forward_hook(left))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
