"""Programs of target `openvino`, on the CPU. Never imports torch."""

from __future__ import annotations

import logging
import sys
from mmap import mmap
from queue import SimpleQueue
from typing import Any, cast

import numpy as np

from depth.artifact.manifest import Artifact
from depth.artifact.program import Program
from depth.errors import first_line
from depth.maps.result import FloatArray
from serve.errors import ProgramError
from serve.runtimes.program import CheckedProgram, label

# Else the import alone forks a process that reports to the makers' analytics, on every run.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
# A third of the import is the converter, which no program needs: it is imported when it is called.
_CONVERTER = "openvino.tools.ovc"
_without = _CONVERTER not in sys.modules
if _without:
    sys.modules[_CONVERTER] = None  # type: ignore[assignment]
import openvino as ov  # noqa: E402

if _without:
    del sys.modules[_CONVERTER]


def _convert_model(*arguments: Any, **named: Any) -> Any:
    from openvino.tools.ovc import convert_model

    ov.convert_model = convert_model
    return convert_model(*arguments, **named)


if not hasattr(ov, "convert_model"):  # for others in this process
    ov.convert_model = _convert_model

logger = logging.getLogger(__name__)
# int8: of the layers that stay float, as they were measured.
_HINTS = {"fp32": "f32", "bf16": "bf16", "int8": "f32", "int8-bf16": "bf16"}


class OpenVino(CheckedProgram):
    """One program, whose tensors are called as in the manifest; compiled for this CPU."""

    def __init__(self, artifact: Artifact, program: Program, streams: int) -> None:
        graph, weights = artifact.open_files(program.files)
        precision = artifact.manifest.precision
        try:
            core = ov.Core()
            # Our private copy of the file, shared with OpenVINO, which wants it writable.
            shared = np.frombuffer(cast("mmap", weights.obj), np.uint8)
            model = core.read_model(bytes(graph), ov.Tensor(shared, shared_memory=True))
            settings = {"INFERENCE_PRECISION_HINT": _HINTS[precision], "NUM_STREAMS": streams}
            compiled = core.compile_model(model, "CPU", settings)
            used = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
        except (RuntimeError, KeyError) as error:
            raise ProgramError(
                f"{label(artifact, program)}: OpenVINO could not load it: {first_line(error)}"
            ) from error
        names_of = ov.ConstOutput.get_names
        names = [*map(names_of, compiled.inputs)], [*map(names_of, compiled.outputs)]
        super().__init__(artifact, program, names)
        warn_unless(_HINTS[precision], used, self.label)
        self._idle: SimpleQueue[ov.InferRequest] = SimpleQueue()
        for _ in range(streams):
            self._idle.put(compiled.create_infer_request())
        self._weights = shared  # last, so that they outlive the requests

    def infer(self, given: dict[str, FloatArray]) -> list[FloatArray]:
        """As `CheckedProgram.infer`."""
        request = self._idle.get()
        try:
            request.infer(given, share_inputs=True)
            return [request.get_tensor(name).data.copy() for name in self.outputs]
        except RuntimeError as error:
            raise ProgramError(f"{self.label}: OpenVINO failed: {first_line(error)}") from error
        finally:
            self._idle.put(request)


def warn_unless(wanted: str, used: str, program: str) -> None:
    """Log that a program runs in another arithmetic than the wanted one."""
    if used != wanted:
        logger.warning("%s: this CPU has no %s; it runs in %s, slower", program, wanted, used)


open_program = OpenVino
