"""Programs of target `onnx`, on the CPU. Never imports torch."""

from __future__ import annotations

from threading import Lock

import onnxruntime

from depth.artifact.manifest import Artifact
from depth.artifact.program import Program
from depth.errors import first_line
from depth.maps.result import FloatArray
from serve.arrays import Arrays
from serve.errors import ProgramError
from serve.runtimes.tensors import Tensors


class OnnxRuntime:
    """One program, whose tensors are called as in the manifest."""

    def __init__(self, session: onnxruntime.InferenceSession, tensors: Tensors) -> None:
        self._session = session
        self._tensors = tensors
        self._one_at_a_time = Lock()  # one run already uses every core

    def run(self, arrays: Arrays) -> dict[str, FloatArray]:
        """As `Runtime.run`."""
        given = self._tensors.checked_inputs(arrays)
        try:
            with self._one_at_a_time:
                found: list[FloatArray] = self._session.run([*self._tensors.outputs], given)
        except Exception as error:  # its exceptions share no base but Exception
            name = self._tensors.label
            raise ProgramError(f"{name}: ONNX Runtime failed: {first_line(error)}") from error
        return self._tensors.checked_outputs(found)


def open_program(artifact: Artifact, program: Program, _streams: int) -> OnnxRuntime:
    """Open the ONNX file on the CPU."""
    tensors = Tensors(artifact, program)
    model = artifact.open_files(program.files[:1])[0]
    try:
        session = onnxruntime.InferenceSession(bytes(model), providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions share no base but Exception
        raise ProgramError(
            f"{tensors.label}: ONNX Runtime could not load it: {first_line(error)}"
        ) from error
    inputs, outputs = session.get_inputs(), session.get_outputs()
    tensors.check_names([{x.name} for x in inputs], [{x.name} for x in outputs])
    return OnnxRuntime(session, tensors)
