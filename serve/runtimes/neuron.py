"""Programs of target `inf1`, on the NeuronCores of Inf1: the only module of serve/ with its SDK."""

from __future__ import annotations

from contextlib import AbstractContextManager

from depth.chips import INF1, INFERENTIA, install_command
from depth.errors import first_line
from serve.errors import ProgramError
from serve.runtimes.neuron_program import Chip


def _placed_on(core: int) -> AbstractContextManager[None]:
    try:
        import torch_neuron  # on use: on an unfit machine the import itself fails
    except (ImportError, RuntimeError) as error:
        raise ProgramError(
            f"torch_neuron cannot be imported: {first_line(error)}; run "
            f"`{install_command(INF1, 'serve')}`"
        ) from error
    return torch_neuron.experimental.neuron_cores_context(start_nc=core, nc_count=1)


CHIP = Chip(
    "an Inf1 instance",
    INFERENTIA.cores,
    placed_on=_placed_on,
)
