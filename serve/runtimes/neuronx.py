"""Programs of target `inf2`, on NeuronCores of Inf2 and Trn1: the only module of serve/ with its
SDK.
"""

from __future__ import annotations

from contextlib import AbstractContextManager

from depth.chips import INFERENTIA2
from depth.errors import first_line
from serve.errors import ProgramError
from serve.runtimes.neuron_program import Chip


def _placed_on(core: int) -> AbstractContextManager[None]:
    try:
        import torch_neuronx  # on use: on an unfit machine the import itself fails
    except (ImportError, RuntimeError) as error:
        raise ProgramError(
            f"torch_neuronx cannot be imported: {first_line(error)}; install torch-neuronx from "
            "AWS's package index, and the torch that it was built for"
        ) from error
    # Until SDK 2.25 it was in `experimental` only, as in torch_neuron.
    home = torch_neuronx
    if not hasattr(home, "neuron_cores_context"):
        home = torch_neuronx.experimental
    return home.neuron_cores_context(start_nc=core, nc_count=1)


CHIP = Chip(
    "an Inf2 or Trn1 instance",
    INFERENTIA2.cores,
    placed_on=_placed_on,
)
