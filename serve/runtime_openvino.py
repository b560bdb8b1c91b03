"""Programs of target `openvino`, on the CPU. Never imports torch."""

from __future__ import annotations

import numpy as np
import openvino as ov

from depth_anything_v2.artifact import Artifact, Program
from depth_anything_v2.depth_map import FloatArray
from serve.errors import RuntimeFailure

_HINTS = {"fp32": "f32", "bf16": "bf16"}


class OpenVino:
    def __init__(self, compiled: ov.CompiledModel, name: str) -> None:
        self._request = compiled.create_infer_request()
        self._name = name

    def run(self, images: FloatArray) -> FloatArray:
        try:
            self._request.infer({0: images}, share_inputs=True)
            return self._request.get_output_tensor(0).data.copy()
        except RuntimeError as error:
            raise RuntimeFailure(f"{self._name}: OpenVINO failed: {error}") from error

    def close(self) -> None:
        del self._request


def open_program(artifact: Artifact, program: Program) -> OpenVino:
    """Compile the IR for this CPU at the artifact's precision, tuned for one request at a time."""
    name = f"{artifact.folder.name} {program.height_px}x{program.width_px}"
    graph, weights = (artifact.open_file(file) for file in program.files)
    try:
        core = ov.Core()
        model = core.read_model(bytes(graph), ov.Tensor(np.frombuffer(weights, np.uint8)))
        settings = {
            "INFERENCE_PRECISION_HINT": _HINTS[artifact.manifest.precision],
            "PERFORMANCE_HINT": "LATENCY",
        }
        return OpenVino(core.compile_model(model, "CPU", settings), name)
    except (RuntimeError, KeyError) as error:
        raise RuntimeFailure(f"{name}: OpenVINO could not load it: {error}") from error
