"""The chip: two operators that no saved program can do without."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

_MAGIC = b"NEFF"
_LENGTH_BYTES = 8
_TF32_DROPPED_BITS = 13  # of the 23 of a float32's fraction
_LIBRARY = torch.library.Library("neuron", "DEF")
_NO_DEVICE = (
    "The PyTorch Neuron Runtime could not be initialized. Neuron Driver issues are logged to your "
    "system logs. See the Neuron Runtime's troubleshooting guide for help on this topic"
)
_tracing = False  # then nothing runs, and outputs are placeholders


@dataclass(frozen=True)
class Header:
    """What the compiler settled for the graph."""

    inputs: list[list[int]]
    outputs: list[list[int]]
    cast: str  # dtype that goes into every matrix product; "fp32": as it is
    everything: bool  # whether results are rounded to it too


def on_device() -> bool:
    return os.environ.get("NEURON_STANDIN_DEVICE", "") in ("1", "wrong")


def need_device() -> None:
    if not on_device():
        raise RuntimeError(_NO_DEVICE)


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


def unpack(neff: bytes) -> tuple[Header, bytes]:
    if neff[: len(_MAGIC)] != _MAGIC:
        raise RuntimeError("Could not load the model status=2 message=Invalid NEFF")
    start = len(_MAGIC) + _LENGTH_BYTES
    end = start + int.from_bytes(neff[len(_MAGIC) : start], "little")
    return Header(**json.loads(neff[start:end])), neff[end:]


def rounded(tensor: Tensor, cast: str) -> Tensor:
    if cast == "fp32" or not tensor.is_floating_point():
        return tensor
    if cast == "tf32":
        bits = tensor.contiguous().view(torch.int32) + (1 << (_TF32_DROPPED_BITS - 1))
        return (bits >> _TF32_DROPPED_BITS << _TF32_DROPPED_BITS).view(torch.float32)
    dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}[cast]
    return tensor.to(dtype).to(tensor.dtype)


def load(neff: Tensor, lazy: bool) -> int:
    """Put a program on the next core, now or, if `lazy`, when it first runs."""
    if not lazy:
        need_device()
        _opened(neff)
    return 0


def forward(inputs: list[Tensor], neff: Tensor, dynamic_batch: bool) -> list[Tensor]:
    header, function = _opened(neff)
    if _tracing:
        return [torch.zeros(shape) for shape in header.outputs]
    need_device()
    if not dynamic_batch:
        return _run(header, function, inputs)
    count, batch = inputs[0].shape[0], header.inputs[0][0]
    if any(list(x.shape[1:]) != shape[1:] for x, shape in zip(inputs, header.inputs)):
        raise ValueError("dynamic batching: a dimension other than 0 differs from compile time")
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
    if os.environ["NEURON_STANDIN_DEVICE"] == "wrong":
        return [(torch.arange(_count(s)) % 7).float().reshape(s) for s in header.outputs]
    with torch.no_grad():
        given = function(*[rounded(x, header.cast) for x in inputs])
    found = [given] if isinstance(given, Tensor) else list(given)
    return [rounded(x, header.cast) for x in found] if header.everything else found


def _count(shape: list[int]) -> int:
    return int(torch.tensor(shape).prod())


def _opened(neff: Tensor) -> tuple[Header, Any]:
    return _parsed(neff.numpy().tobytes())


@lru_cache(maxsize=8)
def _parsed(neff: bytes) -> tuple[Header, Any]:
    header, body = unpack(neff)
    return header, torch.jit.load(io.BytesIO(body))


_LIBRARY.define("load(Tensor neff, bool lazy) -> int")
_LIBRARY.impl("load", load, "CPU")
_LIBRARY.define("forward_v2(Tensor[] inputs, Tensor neff, bool dynamic_batch) -> Tensor[]")
_LIBRARY.impl("forward_v2", forward, "CPU")
