"""Placement on the two cores of an Inf2 chip, which has to be there."""

from __future__ import annotations

from typing import Any, Optional

from neuron_base import cores

from torch_neuronx.program import dynamic_batch
from torch_neuronx.runtime import CORES

neuron_cores_context = CORES.neuron_cores_context
multicore_context = CORES.multicore_context
set_neuron_cores = CORES.set_neuron_cores
set_multicore = CORES.set_multicore


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
