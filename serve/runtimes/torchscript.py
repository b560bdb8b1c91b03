"""Programs of target `torchscript`, on the CPU, by torch itself."""

from __future__ import annotations

import io
from threading import Lock

import torch

from depth.artifact.manifest import Artifact
from depth.artifact.program import Program
from depth.errors import first_line
from depth.maps.result import FloatArray
from serve.arrays import Arrays
from serve.errors import ProgramError
from serve.runtimes.tensors import Tensors


class TorchScript:
    """One program, whose tensors come in the order of the manifest."""

    def __init__(self, loaded: torch.jit.ScriptModule, tensors: Tensors) -> None:
        self._loaded = loaded
        self._tensors = tensors
        self._one_at_a_time = Lock()  # one run already uses every core

    def run(self, arrays: Arrays) -> dict[str, FloatArray]:
        """As `Runtime.run`."""
        given = [torch.from_numpy(a) for a in self._tensors.checked_inputs(arrays).values()]
        try:
            with self._one_at_a_time, torch.no_grad():
                found = self._loaded(*given)
        except (RuntimeError, torch.jit.Error) as error:  # torch.jit.Error is not a RuntimeError
            name = self._tensors.label
            raise ProgramError(f"{name}: torch failed: {first_line(error)}") from error
        several = found if isinstance(found, tuple) else (found,)
        return self._tensors.checked_outputs([each.numpy() for each in several])


def open_program(artifact: Artifact, program: Program, _streams: int) -> TorchScript:
    """Load the program from bytes whose hash matched: loading runs what the file says."""
    tensors = Tensors(artifact, program)
    data = artifact.open_files(program.files[:1])[0]
    try:
        loaded = torch.jit.load(io.BytesIO(data), map_location="cpu")  # type: ignore[no-untyped-call]
    except (RuntimeError, ValueError) as error:
        raise ProgramError(
            f"{tensors.label}: torch could not load it: {first_line(error)}"
        ) from error
    return TorchScript(loaded.eval(), tensors)
