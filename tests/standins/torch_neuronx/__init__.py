"""A stand-in for AWS's torch-neuronx, for tests on machines that have none. Never shipped.

It keeps the documented contract (AWS Neuron SDK documentation, API reference of torch-neuronx) with
its traps: the whole graph or an exception, compiler arguments that have to name the target, shapes
that are fixed, files that load with the import and on the chip only. Two environment variables
steer it: NEURON_STANDIN and NEURON_STANDIN_DEVICE. neuron_base/compiler.py says what they make the
compiler do, and neuron_base/device.py the chip.
"""

from __future__ import annotations

import torch

_RELEASE = tuple(int(part) for part in torch.__version__.split("+")[0].split(".")[:2])
if not (2, 5) <= _RELEASE < (2, 10):
    # What the loader says of a library that was built for another torch.
    raise ImportError(f"_XLAC.cpython.so: undefined symbol, with torch {torch.__version__}")

from neuron_base import loading  # noqa: E402

from torch_neuronx import tracing  # noqa: E402
from torch_neuronx.placement import (  # noqa: E402
    DataParallel,
    multicore_context,
    neuron_cores_context,
    set_multicore,
    set_neuron_cores,
)
from torch_neuronx.program import async_load, dynamic_batch, lazy_load  # noqa: E402

__version__ = "2.7.0.2.10.16998"
__all__ = [
    "DataParallel",
    "async_load",
    "dynamic_batch",
    "lazy_load",
    "multicore_context",
    "neuron_cores_context",
    "set_multicore",
    "set_neuron_cores",
    "trace",
]
trace = loading.traces(tracing.trace)
