"""Placement on cores, as far as a machine without cores can keep the contract."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Callable, Optional

import torch
from torch import Tensor


class Cores:
    """The cores of a chip, which `need_device` asks for."""

    def __init__(self, count: int, need_device: Callable[[], None] = lambda: None) -> None:
        self.count = count
        self.need_device = need_device

    def check(self, start_nc: int, nc_count: int) -> None:
        self.need_device()
        if nc_count == 0 or nc_count < -1 or max(start_nc, 0) + max(nc_count, 1) > self.count:
            raise ValueError(
                f"cannot use {nc_count} cores from {start_nc} on: there are {self.count}"
            )

    @contextmanager
    def neuron_cores_context(self, start_nc: int = -1, nc_count: int = -1) -> Iterator[None]:
        self.check(start_nc, nc_count)
        yield

    @contextmanager
    def multicore_context(self) -> Iterator[None]:
        self.need_device()
        yield


class DataParallel:
    """One batch split over the cores."""

    cores: Cores

    def __init__(self, model: Any, device_ids: Optional[list[Any]] = None, dim: int = 0) -> None:
        self.model = model
        self.dim = dim
        self.device_ids = list(range(self.cores.count)) if device_ids is None else device_ids
        self.num_workers = 2 * len(self.device_ids)
        self.split_size: Optional[int] = None

    def disable_dynamic_batching(self) -> None:
        pass

    def __call__(self, images: Tensor) -> Tensor:
        size = self.split_size or max(1, images.shape[self.dim] // len(self.device_ids))
        return torch.cat([self.model(part) for part in images.split(size, self.dim)], self.dim)
