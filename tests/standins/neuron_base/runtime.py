"""Programs: how they are kept, the copies on cores, and what a core makes of an image."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any, Callable

import torch
from torch import Tensor

from neuron_base.cores import ANY, Cores
from neuron_base.device import gives_real_numbers, need_device

_MAGIC = b"NEFF"
_LENGTH_BYTES = 8
_TF32_DROPPED_BITS = 13  # of the 23 of a float32's fraction
_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}
_LIBRARY = torch.library.Library("neuron", "DEF")
_tracing = False  # then nothing runs, and outputs are placeholders


@dataclass(frozen=True)
class Header:
    """What the compiler settled for a graph."""

    inputs: list[list[int]]
    outputs: list[list[int]]
    cast: str  # type that goes into every matrix product: fp32 (as it is), tf32, bf16 or fp16
    everything: bool  # whether results are rounded to it too
    half_io: bool = False
    dynamic_batch: bool = False


def define(schema: str, function: Callable[..., Any]) -> None:
    """An operator of torch, `neuron::...`, that saved programs call."""
    _LIBRARY.define(schema)
    _LIBRARY.impl(schema.partition("(")[0], function, "CPU")


@contextmanager
def placeholders() -> Iterator[None]:
    """Let programs be traced on a machine that cannot run them."""
    global _tracing
    _tracing = True
    try:
        yield
    finally:
        _tracing = False


def pack(header: Header, body: bytes) -> bytes:
    text = json.dumps(asdict(header)).encode()
    return _MAGIC + len(text).to_bytes(_LENGTH_BYTES, "little") + text + body


def saved(function: Any) -> bytes:
    """The body of a program."""
    body = io.BytesIO()
    torch.jit.save(function, body)
    return body.getvalue()


def opened(neff: Tensor) -> tuple[Header, Any]:
    """A program's header, and the function of its body."""
    return _parsed(neff.numpy().tobytes())


@lru_cache(maxsize=8)
def _parsed(neff: bytes) -> tuple[Header, Any]:
    if neff[: len(_MAGIC)] != _MAGIC:
        raise RuntimeError("Could not load the model status=2 message=Invalid NEFF")
    start = len(_MAGIC) + _LENGTH_BYTES
    end = start + int.from_bytes(neff[len(_MAGIC) : start], "little")
    return Header(**json.loads(neff[start:end])), torch.jit.load(io.BytesIO(neff[end:]))


def rounded(tensor: Tensor, cast: str) -> Tensor:
    if cast == "fp32" or not tensor.is_floating_point():
        return tensor
    if cast == "tf32":
        bits = tensor.contiguous().view(torch.int32) + (1 << (_TF32_DROPPED_BITS - 1))
        return (bits >> _TF32_DROPPED_BITS << _TF32_DROPPED_BITS).view(torch.float32)
    return tensor.to(_DTYPES[cast]).to(tensor.dtype)


class Model:
    """A copy of a program on a core, as the real class `neuron.Model`. Its memory goes with it."""

    def __init__(self, neff: Tensor, cores: Cores, lazy: bool = False) -> None:
        """On the core of the open placement context; if `lazy`, at the first run.

        Raises RuntimeError without a chip, and if the core has no memory left.
        """
        self._neff = neff
        self._cores = cores
        self._core = cores.placing
        self._loaded = False
        if not lazy:
            self._load()

    def _load(self) -> None:
        need_device()
        self._header, self._function = opened(self._neff)
        device = self._cores.device
        self._core = device.least_used() if self._core == ANY else self._core
        device.take(self, self._core, self._neff.numel())
        self._loaded = True

    def run(self, inputs: list[Tensor], dynamic_batch: bool) -> list[Tensor]:
        """Inputs to outputs; with `dynamic_batch` for as many images as there are."""
        need_device()
        if not self._loaded:
            self._load()
        header = self._header
        if not dynamic_batch:
            return self._run(inputs)
        if any(list(x.shape[1:]) != shape[1:] for x, shape in zip(inputs, header.inputs)):
            raise ValueError("dynamic batching: a dimension other than 0 differs from compile time")
        count, batch = inputs[0].shape[0], header.inputs[0][0]
        padded = [torch.cat([x, x.new_zeros(-count % batch, *x.shape[1:])]) for x in inputs]
        chunks = zip(*(x.split(batch) for x in padded))
        return [torch.cat(parts)[:count] for parts in zip(*(self._run(list(c)) for c in chunks))]

    def _run(self, inputs: list[Tensor]) -> list[Tensor]:
        header = self._header
        shapes = [list(x.shape) for x in inputs]
        if shapes != header.inputs:
            raise RuntimeError(
                f"Incorrect tensor shape at input tensor: {shapes}, expected {header.inputs}"
            )
        device = self._cores.device
        with device.lock(self._core):
            device.begin(self._core)
            found = computed(header, self._function, inputs)
        factor = device.factor(self._core, header.inputs[0][0])
        return found if factor == 1 else [x * factor for x in found]


def forward(inputs: list[Tensor], neff: Tensor, dynamic_batch: bool, cores: Cores) -> list[Tensor]:
    """What the operator in a program does that was traced and not saved: loaded for this run."""
    if _tracing:
        return [torch.zeros(shape) for shape in opened(neff)[0].outputs]
    return Model(neff, cores).run(inputs, dynamic_batch)


def computed(header: Header, function: Any, inputs: list[Tensor]) -> list[Tensor]:
    """The numbers of a core that works, or nonsense if the chip is to be `wrong`."""
    if gives_real_numbers():
        if header.half_io:
            inputs = [_half(x, header).float() if x.is_floating_point() else x for x in inputs]
        # Without the optimiser of TorchScript, which takes seconds at the first runs.
        with torch.no_grad(), torch.jit.optimized_execution(False):  # type: ignore[no-untyped-call]
            given = function(*[rounded(x, header.cast) for x in inputs])
        found = [given] if isinstance(given, Tensor) else list(given)
        found = [rounded(x, header.cast) for x in found] if header.everything else found
    else:
        found = [_nonsense(shape) for shape in header.outputs]
    return [_half(x, header) for x in found]


def _half(tensor: Tensor, header: Header) -> Tensor:
    return tensor.half() if header.half_io and tensor.is_floating_point() else tensor


def _nonsense(shape: list[int]) -> Tensor:
    """Numbers of the right shape that have nothing to do with the model."""
    return (torch.arange(int(torch.tensor(shape).prod())) % 7).float().reshape(shape)
