"""Programs: how they are kept, and what a core makes of an image."""

from __future__ import annotations

import io
import json
import os
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any, Callable

import torch
from torch import Tensor

_MAGIC = b"NEFF"
_LENGTH_BYTES = 8
_TF32_DROPPED_BITS = 13  # of the 23 of a float32's fraction
_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}
_LIBRARY = torch.library.Library("neuron", "DEF")


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


def gives_real_numbers() -> bool:
    return os.environ.get("NEURON_STANDIN_DEVICE") == "1"


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


def run(inputs: list[Tensor], neff: Tensor, dynamic_batch: bool) -> list[Tensor]:
    """A program's outputs; with `dynamic_batch` for as many images as there are."""
    header, function = opened(neff)
    if not dynamic_batch:
        return _run(header, function, inputs)
    count, batch = inputs[0].shape[0], header.inputs[0][0]
    padded = [torch.cat([x, x.new_zeros(-count % batch, *x.shape[1:])]) for x in inputs]
    pieces = [
        _run(header, function, list(chunk)) for chunk in zip(*(x.split(batch) for x in padded))
    ]
    return [torch.cat(parts)[:count] for parts in zip(*pieces)]


def _run(header: Header, function: Any, inputs: list[Tensor]) -> list[Tensor]:
    shapes = [list(x.shape) for x in inputs]
    if shapes != header.inputs:
        raise RuntimeError(
            f"Incorrect tensor shape at input tensor: {shapes}, expected {header.inputs}"
        )
    if gives_real_numbers():
        if header.half_io:
            inputs = [_half(x, header).float() if x.is_floating_point() else x for x in inputs]
        with torch.no_grad():
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
