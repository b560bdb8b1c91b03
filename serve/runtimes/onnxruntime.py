"""Programs of target `onnx`, on the CPU. Never imports torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock

import onnxruntime

from depth.artifact.manifest import Artifact
from depth.artifact.program import Program
from depth.errors import first_line
from depth.maps.result import FloatArray
from serve.errors import ProgramError
from serve.runtimes.program import CheckedProgram, label


class OnnxRuntime(CheckedProgram):
    """One program on the CPU, whose tensors are called as in the manifest."""

    def __init__(self, artifact: Artifact, program: Program, _streams: int) -> None:
        files = artifact.open_files(program.files)
        try:
            session = _session(program, files)
        except Exception as error:  # its exceptions share no base but Exception
            raise ProgramError(
                f"{label(artifact, program)}: ONNX Runtime could not load it: {first_line(error)}"
            ) from error
        names = [{x.name} for x in session.get_inputs()], [{x.name} for x in session.get_outputs()]
        super().__init__(artifact, program, names)
        self._session = session
        self._one_at_a_time = Lock()  # one run already uses every core

    def infer(self, given: dict[str, FloatArray]) -> list[FloatArray]:
        """As `CheckedProgram.infer`."""
        try:
            with self._one_at_a_time:
                found: list[FloatArray] = self._session.run([*self.outputs], given)
        except Exception as error:  # its exceptions share no base but Exception
            raise ProgramError(f"{self.label}: ONNX Runtime failed: {first_line(error)}") from error
        return found


def _session(program: Program, files: Sequence[memoryview]) -> onnxruntime.InferenceSession:
    """From memory, or from private copies of its files where the weights are in a second file."""
    providers = ["CPUExecutionProvider"]
    if len(files) == 1:
        return onnxruntime.InferenceSession(bytes(files[0]), providers=providers)
    with TemporaryDirectory() as folder:
        paths = [Path(folder) / Path(file.path).name for file in program.files]
        for path, data in zip(paths, files):
            path.write_bytes(data)
        return onnxruntime.InferenceSession(str(paths[0]), providers=providers)


open_program = OnnxRuntime
