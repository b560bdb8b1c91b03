"""Placement on the two cores of an Inf2 chip, which has to be there."""

from __future__ import annotations

from typing import Any, Optional

from neuron_base import cores

from torch_neuronx.program import dynamic_batch
from torch_neuronx.runtime import need_device

CORES = cores.Cores(2, need_device)
neuron_cores_context = CORES.neuron_cores_context
multicore_context = CORES.multicore_context


def set_neuron_cores(trace: Any, start_nc: int = -1, nc_count: int = -1) -> None:
    CORES.check(start_nc, nc_count)
    trace.model.core = max(start_nc, 0)


def set_multicore(trace: Any) -> None:
    set_neuron_cores(trace, 0, CORES.count)


class DataParallel(cores.DataParallel):
    cores = CORES

    def __init__(
        self,
        model: Any,
        device_ids: Optional[list[Any]] = None,
        dim: int = 0,
        set_dynamic_batching: bool = True,
    ) -> None:
        super().__init__(model, device_ids, dim)
        if set_dynamic_batching and dim == 0:
            dynamic_batch(model)

    def disable_dynamic_batching(self) -> None:
        self.model.model.dynamic_batch = False
