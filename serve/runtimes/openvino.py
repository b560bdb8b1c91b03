"""Programs of target `openvino`, on the CPU. Never imports torch."""

from __future__ import annotations

import logging
import sys
from queue import SimpleQueue

import numpy as np

from depth.artifact.manifest import Artifact, Program
from depth.errors import first_line
from depth.maps.depth_map import FloatArray
from serve.errors import RuntimeFailure

# Else the import alone forks a process that reports to the makers' analytics, on every run.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
import openvino as ov  # noqa: E402

logger = logging.getLogger(__name__)
_HINTS = {"fp32": "f32", "bf16": "bf16", "int8": "f32"}  # int8: what is left in float


class OpenVino:
    def __init__(self, compiled: ov.CompiledModel, name: str, streams: int) -> None:
        self._name = name
        self._idle: SimpleQueue[ov.InferRequest] = SimpleQueue()
        for _ in range(streams):
            self._idle.put(compiled.create_infer_request())

    def run(self, images: FloatArray) -> FloatArray:
        request = self._idle.get()
        try:
            request.infer({0: images}, share_inputs=True)
            return request.get_output_tensor(0).data.copy()
        except RuntimeError as error:
            raise RuntimeFailure(f"{self._name}: OpenVINO failed: {first_line(error)}") from error
        finally:
            self._idle.put(request)


def _tell_precision(compiled: ov.CompiledModel, name: str, precision: str) -> None:
    used = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
    if used != _HINTS[precision]:
        logger.warning("%s: this CPU has no %s; it runs in %s, slower", name, precision, used)


def open_program(artifact: Artifact, program: Program, streams: int) -> OpenVino:
    """Compile the IR for this CPU at the artifact's precision."""
    name = f"{artifact.folder.name} {program.height_px}x{program.width_px}"
    graph, weights = (artifact.open_file(file) for file in program.files)
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
        _tell_precision(compiled, name, artifact.manifest.precision)
        return OpenVino(compiled, name, streams)
    except (RuntimeError, KeyError) as error:
        raise RuntimeFailure(f"{name}: OpenVINO could not load it: {first_line(error)}") from error
