"""Programs of target `openvino`, on the CPU. Never imports torch."""

from __future__ import annotations

import logging
import sys
from contextlib import suppress
from dataclasses import dataclass
from mmap import mmap
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Any, Optional, cast

import numpy as np
import numpy.typing as npt

from depth.artifact.manifest import Artifact
from depth.artifact.program import Program
from depth.errors import first_line
from depth.maps.result import FloatArray
from serve.arrays import Arrays
from serve.errors import ProgramError
from serve.runtimes.kept.entry import Entry, entry_of
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
Weights = npt.NDArray[np.uint8]
# int8: of the layers that stay float, as they were measured.
_HINTS = {"fp32": "f32", "bf16": "bf16", "int8": "f32", "int8-bf16": "bf16"}
_keeping = Lock()  # one program at a time: each takes its memory twice


class OpenVino(CheckedProgram):
    """One program, whose tensors are called as in the manifest; compiled for this CPU.

    What OpenVINO made of it for an earlier process is used again: see runtimes/kept.
    """

    def __init__(self, artifact: Artifact, program: Program, streams: int) -> None:
        hint = _HINTS[artifact.manifest.precision]
        settings = {"INFERENCE_PRECISION_HINT": hint, "NUM_STREAMS": streams}
        entry = entry_of(artifact, program, f"openvino {ov.get_version()}", settings)
        weights = None
        try:
            core = ov.Core()
            compiled = _kept(core, entry, settings)
            if compiled is None:
                compiled, weights = _compiled(core, artifact, program, settings)
            used = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
        except (RuntimeError, KeyError) as error:
            raise ProgramError(
                f"{label(artifact, program)}: OpenVINO could not load it: {first_line(error)}"
            ) from error
        names_of = ov.ConstOutput.get_names
        names = [*map(names_of, compiled.inputs)], [*map(names_of, compiled.outputs)]
        super().__init__(artifact, program, names)
        warn_unless(hint, used, self.label)
        self._idle: SimpleQueue[ov.InferRequest] = SimpleQueue()
        for _ in range(streams):
            self._idle.put(compiled.create_infer_request())
        self._weights = weights  # last, so that they outlive the requests
        self._keepers: list[_Keeper] = []
        if weights is not None and entry.folder is not None:
            self._keepers.append(_Keeper(core, compiled, settings, entry, weights))

    def infer(self, given: dict[str, FloatArray]) -> list[FloatArray]:
        """As `CheckedProgram.infer`."""
        request = self._idle.get()
        try:
            request.infer(given, share_inputs=True)
            found = [request.get_tensor(name).data.copy() for name in self.outputs]
        except RuntimeError as error:
            raise ProgramError(f"{self.label}: OpenVINO failed: {first_line(error)}") from error
        finally:
            self._idle.put(request)
        with suppress(IndexError):
            self._keepers.pop().begin(given, dict(zip(self.outputs, found)))
        return found


def _compiled(
    core: ov.Core, artifact: Artifact, program: Program, settings: dict[str, Any]
) -> tuple[ov.CompiledModel, Weights]:
    """The program, compiled, and its weights, which have to outlive it."""
    graph, weights = artifact.open_files(program.files)
    # Our private copy of the file, shared with OpenVINO, which wants it writable.
    shared = np.frombuffer(cast("mmap", weights.obj), np.uint8)
    model = core.read_model(bytes(graph), ov.Tensor(shared, shared_memory=True))
    return core.compile_model(model, "CPU", settings), shared


def _kept(core: ov.Core, entry: Entry, settings: dict[str, Any]) -> Optional[ov.CompiledModel]:
    """What an earlier process compiled; None if there is nothing that OpenVINO takes."""
    exported = entry.read()
    if exported is None:
        return None
    try:
        return core.import_model(exported, "CPU", settings)
    except RuntimeError as error:
        logger.info("a prepared program is compiled again: %s", first_line(error))
        entry.drop()
        return None


@dataclass(frozen=True)
class _Keeper:
    """Keeps a compiled program for the next process, after its first run.

    weights  have to outlive the program, which may be unloaded meanwhile
    """

    core: ov.Core
    compiled: ov.CompiledModel
    settings: dict[str, Any]
    entry: Entry
    weights: Weights

    def begin(self, given: Arrays, answers: Arrays) -> None:
        """Keep it in a thread, which the process waits for at its end.

        given, answers  of the first run
        """
        copies = [{name: np.array(a) for name, a in each.items()} for each in (given, answers)]
        Thread(target=self._keep, args=copies, name="keep", daemon=False).start()

    def _keep(self, given: Arrays, answers: Arrays) -> None:
        """Keep what gives the same bits once it is imported again, and nothing else."""
        try:
            with _keeping:
                exported = self.compiled.export_model().getvalue()
                request = self.core.import_model(
                    exported, "CPU", self.settings
                ).create_infer_request()
                request.infer(given)
                if all(
                    np.array_equal(request.get_tensor(name).data, array)
                    for name, array in answers.items()
                ):
                    self.entry.write(exported)
        except (RuntimeError, MemoryError) as error:
            logger.info("a program is not kept: %s", first_line(error))


def warn_unless(wanted: str, used: str, program: str) -> None:
    """Log that a program runs in another arithmetic than the wanted one."""
    if used != wanted:
        logger.warning("%s: this CPU has no %s; it runs in %s, slower", program, wanted, used)


open_program = OpenVino
