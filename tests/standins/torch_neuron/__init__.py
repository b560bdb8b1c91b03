"""A stand-in for AWS's torch-neuron 1.13.1, for tests on machines that have none. Never shipped.

It keeps the documented contract (AWS Neuron SDK documentation, torch-neuron archive) with its
traps: operators that are left on the CPU without a word, compiler failures that are swallowed,
shapes that are fixed, files that do not load without the import, numbers that are wrong off the
chip. Two environment variables steer it:

NEURON_STANDIN         a folder; see neuron_base/compiler.py for what its files make the compiler do
NEURON_STANDIN_DEVICE  set to 1, programs give real numbers, rounded as the compiler was told
"""

from __future__ import annotations

import torch

if torch.__version__.split("+")[0] != "1.13.1":
    raise RuntimeError(
        f"Invalid dependency version torch=={torch.__version__}, expected torch==1.13.1.*"
    )

from neuron_base import cores  # noqa: E402

from torch_neuron import experimental  # noqa: E402
from torch_neuron.operators import SUPPORTED  # noqa: E402
from torch_neuron.runtime import is_available  # noqa: E402
from torch_neuron.tracing import Optimization, analyze_model, trace  # noqa: E402

__version__ = "1.13.1.2.11.13.0"
__all__ = ["DataParallel", "Optimization", "analyze_model", "experimental", "is_available", "trace"]


def get_supported_operations() -> list[str]:
    return sorted(SUPPORTED)


class DataParallel(cores.DataParallel):
    cores = experimental.CORES


torch.neuron = __import__(__name__)  # type: ignore[attr-defined]
