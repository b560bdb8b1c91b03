"""Placement on cores, as far as a machine without cores can keep the contract."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch_neuronx.runtime import need_device

CORES = 2


@contextmanager
def neuron_cores_context(start_nc: int = -1, nc_count: int = -1) -> Iterator[None]:
    _check(start_nc, nc_count)
    yield


@contextmanager
def multicore_context() -> Iterator[None]:
    need_device()
    yield


def set_neuron_cores(trace: Any, start_nc: int = -1, nc_count: int = -1) -> None:
    _check(start_nc, nc_count)
    trace.model.core = max(start_nc, 0)


def set_multicore(trace: Any) -> None:
    set_neuron_cores(trace, 0, CORES)


def _check(start_nc: int, nc_count: int) -> None:
    need_device()
    if nc_count == 0 or nc_count < -1 or max(start_nc, 0) + max(nc_count, 1) > CORES:
        raise ValueError(f"cannot use {nc_count} cores from {start_nc} on: there are {CORES}")
