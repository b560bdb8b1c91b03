"""A traced program, and what may be changed about it between `trace` and `save`."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class Model(nn.Module):
    """What the program knows of the copy that a core gets: see neuron_base/loading.py."""

    def __init__(self, neff: Tensor) -> None:
        super().__init__()
        self.neff = neff
        self.dynamic_batch = False
        self.lazy = False
        self.asynchronous = False

    def forward(self, inputs: list[Tensor]) -> list[Tensor]:
        return torch.ops.neuron.forward_v2(inputs, self.neff, self.dynamic_batch)


class NeuronModule(nn.Module):
    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, *tensors: Tensor) -> Any:
        found = self.model(list(tensors))
        return found[0] if len(found) == 1 else tuple(found)


def assembled(neff: bytes, examples: tuple[Tensor, ...]) -> torch.jit.ScriptModule:
    model = torch.jit.script(Model(torch.frombuffer(bytearray(neff), dtype=torch.uint8)))
    with torch.no_grad():
        return torch.jit.trace(NeuronModule(model), examples, strict=False, check_trace=False)


def dynamic_batch(neuron_script: Any) -> Any:
    """In place; the result is the same object."""
    neuron_script.model.dynamic_batch = True
    return neuron_script


def lazy_load(trace: Any, enable_lazy_load: bool = True) -> None:
    trace.model.lazy = enable_lazy_load


def async_load(trace: Any, enable_async_load: bool = True) -> None:
    trace.model.asynchronous = enable_async_load
