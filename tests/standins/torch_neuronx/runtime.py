"""The chip: two operators that no saved program can do without."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from neuron_base import runtime
from torch import Tensor

_NO_DEVICE = (
    "The PyTorch Neuron Runtime could not be initialized. Neuron Driver issues are logged to your "
    "system logs. See the Neuron Runtime's troubleshooting guide for help on this topic"
)
_tracing = False  # then nothing runs, and outputs are placeholders


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


def load(neff: Tensor, lazy: bool) -> int:
    """Put a program on the next core, now or, if `lazy`, when it first runs."""
    if not lazy:
        need_device()
        runtime.opened(neff)
    return 0


def forward(inputs: list[Tensor], neff: Tensor, dynamic_batch: bool) -> list[Tensor]:
    header, _ = runtime.opened(neff)
    if _tracing:
        return [torch.zeros(shape) for shape in header.outputs]
    need_device()
    others = [list(x.shape[1:]) == shape[1:] for x, shape in zip(inputs, header.inputs)]
    if dynamic_batch and not all(others):
        raise ValueError("dynamic batching: a dimension other than 0 differs from compile time")
    return runtime.run(inputs, neff, dynamic_batch)


runtime.define("load(Tensor neff, bool lazy) -> int", load)
runtime.define("forward_v2(Tensor[] inputs, Tensor neff, bool dynamic_batch) -> Tensor[]", forward)
