"""Placement on the four cores of an Inf1 chip."""

from __future__ import annotations

from torch_neuron.runtime import CORES

neuron_cores_context = CORES.neuron_cores_context
multicore_context = CORES.multicore_context
set_neuron_cores = CORES.set_neuron_cores
set_multicore = CORES.set_multicore
