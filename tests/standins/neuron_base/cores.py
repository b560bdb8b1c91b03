"""Placement on cores: a program goes to the core of the context in which it is loaded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Optional

import torch
from torch import Tensor

from neuron_base.device import Device, device_of, need_device

ANY = -1  # core: that with the most free memory


class Cores:
    """The cores of a chip. As the real ones, contexts of several threads disturb each other."""

    def __init__(self, count: int, core_bytes: int) -> None:
        self.count = count
        self.core_bytes = core_bytes
        self.placing = ANY  # the core of the context that is open

    @property
    def device(self) -> Device:
        return device_of(self)

    def check(self, start_nc: int, nc_count: int) -> None:
        need_device()
        if start_nc >= self.count:  # of a device that is not there
            raise RuntimeError(f"TDRV:tdrv_init Could not open the nd{start_nc // self.count}")
        if nc_count == 0 or nc_count < -1 or max(start_nc, 0) + max(nc_count, 1) > self.count:
            raise ValueError(
                f"cannot use {nc_count} cores from {start_nc} on: there are {self.count}"
            )

    @contextmanager
    def neuron_cores_context(self, start_nc: int = ANY, nc_count: int = -1) -> Iterator[None]:
        self.check(start_nc, nc_count)
        self.placing = start_nc
        try:
            yield
        finally:
            self.placing = ANY

    @contextmanager
    def multicore_context(self) -> Iterator[None]:
        need_device()
        yield

    def set_neuron_cores(self, trace: Any, start_nc: int = ANY, nc_count: int = -1) -> None:  # noqa: ARG002
        self.check(start_nc, nc_count)

    def set_multicore(self, trace: Any) -> None:  # noqa: ARG002
        need_device()


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
