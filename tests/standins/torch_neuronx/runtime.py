"""The chip: the operator that no saved program can do without."""

from __future__ import annotations

from typing import Any

from neuron_base import loading, runtime
from neuron_base.cores import Cores
from neuron_base.device import has_device, need_device
from torch import Tensor

__all__ = ["CORES", "need_device", "on_device"]
CORES = Cores(2, core_bytes=16_000_000_000)
on_device = has_device


def forward(inputs: list[Tensor], neff: Tensor, dynamic_batch: bool) -> list[Tensor]:
    return runtime.forward(inputs, neff, dynamic_batch, CORES)


def bind(program: Any) -> loading.Bound:
    held = program.model
    count = len(runtime.opened(held.neff)[0].outputs)
    places = 0 if count == 1 else range(count)
    model = runtime.Model(held.neff, CORES, held.lazy)
    return loading.Bound(model, bool(held.dynamic_batch), places)


runtime.define("forward_v2(Tensor[] inputs, Tensor neff, bool dynamic_batch) -> Tensor[]", forward)
loading.install(bind)
