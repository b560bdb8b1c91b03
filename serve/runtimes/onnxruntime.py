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
from serve.runtimes.tensors import check_names, inputs_of, label, outputs_of


class OnnxRuntime:
    """One program, whose tensors are called as in the manifest."""

    def __init__(self, session: onnxruntime.InferenceSession, program: Program, name: str) -> None:
        self._session = session
        self._program = program
        self._name = name
        self._inputs = [tensor.name for tensor in program.inputs]
        self._outputs = [tensor.name for tensor in program.outputs]
        self._one_at_a_time = Lock()  # one run already uses every core

    def run(self, arrays: Arrays) -> dict[str, FloatArray]:
        """As `Runtime.run`."""
        given = dict(zip(self._inputs, inputs_of(self._program, arrays, self._name)))
        try:
            with self._one_at_a_time:
                found: list[FloatArray] = self._session.run(self._outputs, given)
        except Exception as error:  # its exceptions share no base but Exception
            raise ProgramError(f"{self._name}: ONNX Runtime failed: {first_line(error)}") from error
        return outputs_of(self._program, found, self._name)


def open_program(artifact: Artifact, program: Program, _streams: int) -> OnnxRuntime:
    """Open the ONNX file on the CPU."""
    name = label(artifact, program)
    model = bytes(artifact.open_file(program.files[0]))
    try:
        session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions share no base but Exception
        raise ProgramError(
            f"{name}: ONNX Runtime could not load it: {first_line(error)}"
        ) from error
    inputs, outputs = session.get_inputs(), session.get_outputs()
    check_names(program, [{x.name} for x in inputs], [{x.name} for x in outputs], name)
    return OnnxRuntime(session, program, name)
