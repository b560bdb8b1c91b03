"""Placement on the four cores of an Inf1 chip."""

from __future__ import annotations

from typing import Any

from neuron_base.cores import Cores

CORES = Cores(4)
neuron_cores_context = CORES.neuron_cores_context
multicore_context = CORES.multicore_context


def set_neuron_cores(trace: Any, start_nc: int = -1, nc_count: int = -1) -> None:  # noqa: ARG001
    CORES.check(start_nc, nc_count)


def set_multicore(trace: Any) -> None:  # noqa: ARG001
    pass
