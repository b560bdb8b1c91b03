"""`torch_neuronx.DataParallel`: one batch split over the cores."""

from __future__ import annotations

from typing import Any, Optional

import torch
from torch import Tensor

from torch_neuronx.placement import CORES
from torch_neuronx.program import dynamic_batch


class DataParallel:
    def __init__(
        self,
        model: Any,
        device_ids: Optional[list[Any]] = None,
        dim: int = 0,
        set_dynamic_batching: bool = True,
    ) -> None:
        self.model = dynamic_batch(model) if set_dynamic_batching and dim == 0 else model
        self.dim = dim
        self.device_ids = list(range(CORES)) if device_ids is None else device_ids
        self.num_workers = 2 * len(self.device_ids)
        self.split_size: Optional[int] = None

    def disable_dynamic_batching(self) -> None:
        self.model.model.dynamic_batch = False

    def __call__(self, images: Tensor) -> Tensor:
        size = self.split_size or max(1, images.shape[self.dim] // len(self.device_ids))
        return torch.cat([self.model(part) for part in images.split(size, self.dim)], self.dim)
