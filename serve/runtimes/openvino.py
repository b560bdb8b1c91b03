"""Programs of target `openvino`, on the CPU. Never imports torch."""

from __future__ import annotations

import logging
import sys
from queue import SimpleQueue

import numpy as np

from depth.artifact.manifest import Artifact
from depth.artifact.program import Program
from depth.errors import first_line
from depth.maps.result import FloatArray
from serve.arrays import Arrays
from serve.errors import ProgramError
from serve.runtimes.tensors import Tensors

# Else the import alone forks a process that reports to the makers' analytics, on every run.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
import openvino as ov  # noqa: E402

logger = logging.getLogger(__name__)
_HINTS = {"fp32": "f32", "bf16": "bf16", "int8": "f32"}  # int8: what is left in float


class OpenVino:
    """One program, whose tensors are called as in the manifest."""

    def __init__(self, compiled: ov.CompiledModel, tensors: Tensors, streams: int) -> None:
        self._tensors = tensors
        self._idle: SimpleQueue[ov.InferRequest] = SimpleQueue()
        for _ in range(streams):
            self._idle.put(compiled.create_infer_request())

    def run(self, arrays: Arrays) -> dict[str, FloatArray]:
        """As `Runtime.run`."""
        given = self._tensors.checked_inputs(arrays)
        request = self._idle.get()
        try:
            request.infer(given, share_inputs=True)
            found = [request.get_tensor(name).data.copy() for name in self._tensors.outputs]
        except RuntimeError as error:
            name = self._tensors.label
            raise ProgramError(f"{name}: OpenVINO failed: {first_line(error)}") from error
        finally:
            self._idle.put(request)
        return self._tensors.checked_outputs(found)


def _tell_precision(compiled: ov.CompiledModel, name: str, precision: str) -> None:
    used = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
    if used != _HINTS[precision]:
        logger.warning("%s: this CPU has no %s; it runs in %s, slower", name, precision, used)


def open_program(artifact: Artifact, program: Program, streams: int) -> OpenVino:
    """Compile the IR for this CPU at the artifact's precision."""
    tensors = Tensors(artifact, program)
    graph, weights = artifact.open_files(program.files)
    try:
        core = ov.Core()
        # The tensor is a copy. Shared, it would save 80 ms for vits, but a file that is altered
        # after its hash was checked would change depth, and one cut short would end the process.
        model = core.read_model(bytes(graph), ov.Tensor(np.frombuffer(weights, np.uint8)))
        settings = {
            "INFERENCE_PRECISION_HINT": _HINTS[artifact.manifest.precision],
            "NUM_STREAMS": streams,
        }
        compiled = core.compile_model(model, "CPU", settings)
        _tell_precision(compiled, tensors.label, artifact.manifest.precision)
    except (RuntimeError, KeyError) as error:
        raise ProgramError(
            f"{tensors.label}: OpenVINO could not load it: {first_line(error)}"
        ) from error
    inputs, outputs = compiled.inputs, compiled.outputs
    tensors.check_names([x.get_names() for x in inputs], [x.get_names() for x in outputs])
    return OpenVino(compiled, tensors, streams)
