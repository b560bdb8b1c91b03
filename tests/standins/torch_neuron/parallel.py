"""`torch_neuron.DataParallel`: one batch split over the cores."""

from __future__ import annotations

from typing import Any, Optional

import torch
from torch import Tensor

CORES = 4


class DataParallel:
    def __init__(self, model: Any, device_ids: Optional[list[Any]] = None, dim: int = 0) -> None:
        self.model = model
        self.dim = dim
        self.device_ids = list(range(CORES)) if device_ids is None else device_ids
        self.num_workers = 2 * len(self.device_ids)
        self.split_size: Optional[int] = None
        self._dynamic = True

    def disable_dynamic_batching(self) -> None:
        self._dynamic = False

    def __call__(self, images: Tensor) -> Tensor:
        size = self.split_size or max(1, images.shape[self.dim] // len(self.device_ids))
        return torch.cat([self.model(part) for part in images.split(size, self.dim)], self.dim)
