"""Programs of target `torchscript`, on the CPU, by torch itself."""

from __future__ import annotations

import io
from threading import Lock

import torch

from depth.artifact.manifest import Artifact
from depth.artifact.program import Program
from depth.errors import first_line
from depth.maps.result import FloatArray
from serve.errors import ProgramError
from serve.runtimes.program import CheckedProgram


class TorchScript(CheckedProgram):
    """One program, whose tensors come in the order of the manifest."""

    def __init__(self, artifact: Artifact, program: Program, _streams: int) -> None:
        super().__init__(artifact, program)
        # Loading runs what the file says: its hash is compared first.
        data = artifact.open_files(program.files[:1])[0]
        try:
            loaded = torch.jit.load(io.BytesIO(data), map_location="cpu")  # type: ignore[no-untyped-call]
        except (RuntimeError, ValueError) as error:
            raise ProgramError(
                f"{self.label}: torch could not load it: {first_line(error)}"
            ) from error
        self._loaded = loaded.eval()
        self._one_at_a_time = Lock()  # one run already uses every core

    def infer(self, given: dict[str, FloatArray]) -> list[FloatArray]:
        """As `CheckedProgram.infer`."""
        tensors = map(torch.from_numpy, given.values())
        try:
            with self._one_at_a_time, torch.no_grad():
                found = self._loaded(*tensors)
        except (RuntimeError, torch.jit.Error) as error:  # torch.jit.Error is not a RuntimeError
            raise ProgramError(f"{self.label}: torch failed: {first_line(error)}") from error
        return [each.numpy() for each in (found if isinstance(found, tuple) else (found,))]


open_program = TorchScript
