"""Programs of target `onnx`, on the CPU. Never imports torch."""

from __future__ import annotations

from threading import Lock

import onnxruntime

from depth.artifact.manifest import Artifact, Program
from depth.errors import first_line
from depth.maps.depth_map import FloatArray
from serve.errors import RuntimeFailure


class OnnxRuntime:
    def __init__(self, session: onnxruntime.InferenceSession, name: str) -> None:
        self._session = session
        self._name = name
        self._one_at_a_time = Lock()  # one run already uses every core

    def run(self, images: FloatArray) -> FloatArray:
        try:
            with self._one_at_a_time:
                depth: FloatArray = self._session.run(None, {"image": images})[0]
            return depth
        except Exception as error:  # its exceptions share no base but Exception
            raise RuntimeFailure(
                f"{self._name}: ONNX Runtime failed: {first_line(error)}"
            ) from error


def open_program(artifact: Artifact, program: Program, _streams: int) -> OnnxRuntime:
    """Open the ONNX file on the CPU."""
    name = f"{artifact.folder.name} {program.height_px}x{program.width_px}"
    model = bytes(artifact.open_file(program.files[0]))
    try:
        session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions share no base but Exception
        raise RuntimeFailure(
            f"{name}: ONNX Runtime could not load it: {first_line(error)}"
        ) from error
    return OnnxRuntime(session, name)
