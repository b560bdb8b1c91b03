"""A stand-in for AWS's torch-neuron 1.13.1, for tests on machines that have none. Never shipped.

It keeps the documented contract (AWS Neuron SDK documentation, torch-neuron archive) with its
traps: operators that are left on the CPU without a word, compiler failures that are swallowed,
shapes that are fixed, files that load with the import and on the chip only. Two environment
variables steer it: NEURON_STANDIN and NEURON_STANDIN_DEVICE. neuron_base/compiler.py says what they
make the compiler do, and neuron_base/device.py the chip.
"""

from __future__ import annotations

import torch

if torch.__version__.split("+")[0] != "1.13.1":
    raise RuntimeError(
        f"Invalid dependency version torch=={torch.__version__}, expected torch==1.13.1.*"
    )

from neuron_base import cores, loading  # noqa: E402

from torch_neuron import experimental, tracing  # noqa: E402
from torch_neuron.operators import SUPPORTED  # noqa: E402
from torch_neuron.runtime import CORES, is_available  # noqa: E402
from torch_neuron.tracing import Optimization, analyze_model  # noqa: E402

__version__ = "1.13.1.2.11.13.0"
__all__ = ["DataParallel", "Optimization", "analyze_model", "experimental", "is_available", "trace"]
trace = loading.traces(tracing.trace)


def get_supported_operations() -> list[str]:
    return sorted(SUPPORTED)


class DataParallel(cores.DataParallel):
    cores = CORES


torch.neuron = __import__(__name__)  # type: ignore[attr-defined]
