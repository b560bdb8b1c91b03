"""Programs of target `torchscript`, on the CPU, by torch itself."""

from __future__ import annotations

import io
from threading import Lock

import torch

from depth.artifact.manifest import Artifact, Program
from depth.errors import first_line
from depth.maps.depth_map import FloatArray
from serve.errors import RuntimeFailure


class TorchScript:
    def __init__(self, program: torch.jit.ScriptModule, name: str) -> None:
        self._program = program
        self._name = name
        self._one_at_a_time = Lock()  # one run already uses every core

    def run(self, images: FloatArray) -> FloatArray:
        try:
            with self._one_at_a_time, torch.no_grad():
                depth: FloatArray = self._program(torch.from_numpy(images)).numpy()
            return depth
        except (RuntimeError, torch.jit.Error) as error:  # torch.jit.Error is not a RuntimeError
            raise RuntimeFailure(f"{self._name}: torch failed: {first_line(error)}") from error


def open_program(artifact: Artifact, program: Program, _streams: int) -> TorchScript:
    """Load the program from bytes whose hash matched: loading runs what the file says."""
    name = f"{artifact.folder.name} {program.height_px}x{program.width_px}"
    stream = io.BytesIO(artifact.open_file(program.files[0]))
    try:
        loaded = torch.jit.load(stream, map_location="cpu")  # type: ignore[no-untyped-call]
    except (RuntimeError, ValueError) as error:
        raise RuntimeFailure(f"{name}: torch could not load it: {first_line(error)}") from error
    return TorchScript(loaded.eval(), name)
