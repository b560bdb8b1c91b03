"""What runs a library's programs: the cores of chips, or a CPU whose cores share every program."""

from __future__ import annotations

import logging
import os
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from threading import Lock, Thread
from typing import Any, Callable, Optional

from depth.artifact.manifest import Artifact
from depth.artifact.program import Program, ProgramKey
from depth.errors import DepthAnythingError, first_line, not_installed
from depth.maps.result import FloatArray
from serve.arrays import Arrays
from serve.errors import Action, ProgramError, ServeError
from serve.library import Library
from serve.runtimes.neuron_cores import RUNS_PER_CORE
from serve.runtimes.program import Chain, Runtime
from serve.scheduling.worker import Limits, Reopen, Worker

logger = logging.getLogger(__name__)

CPU_STREAMS = 2  # runs of the network that share the CPU; more only take more memory
# Of each stage, loaded at once; those of vits at 518 px take about 0.5 GB each.
_CPU_PROGRAMS = 4
# The SDKs load one program at a time; waiting for others is no part of loading.
# Their runtime is a part of the process: what two reopenings did not cure needs a new process.
CHIP_LIMITS = Limits(loads_at_once=1, runs_per_core=RUNS_PER_CORE, reopenings=2)
# Nothing on a CPU hangs: a large network on a busy machine is only slow.
_CPU_LIMITS = Limits(run_timeout_s=float("inf"), load_timeout_s=float("inf"))


_MODULES = {  # manifest target -> the only module that imports its package
    "openvino": "serve.runtimes.openvino",
    "onnx": "serve.runtimes.onnxruntime",
    "torchscript": "serve.runtimes.torchscript",
    "inf1": "serve.runtimes.neuron",
    "inf2": "serve.runtimes.neuronx",
}
_CHIPS = ("inf1", "inf2")  # their programs are placed on single cores


@dataclass(frozen=True)
class Backend:
    """Cores for a scheduler, opened; its arguments of the same names say what the fields are."""

    workers: Sequence[Worker]
    reopen: Optional[Reopen]
    images_at_once: int  # this many images under way keep the cores and the host busy
    shared: bool = False
    limits: Limits = Limits()
    preload: Callable[[ProgramKey], None] = lambda _program: None  # begins to load, does not wait


OpenBackend = Callable[[Library, int], Backend]


def open_backend(library: Library, images: int) -> Backend:
    """What the library's artifacts are made for: every core of this process, or the CPU.

    `images`: the most that are wanted at once; a single image gets the whole CPU. Raises
    NoProgramError if the library is empty, ProgramError if the device cannot be used.
    """
    artifact = library.any_artifact()
    cores = core_count(artifact)
    return _cpu(library, min(CPU_STREAMS, images)) if cores is None else _chips(library, cores)


def _chips(library: Library, cores: int) -> Backend:
    def worker(core: int) -> ProgramWorker:
        return ProgramWorker(lambda program: open_on_core(*library.stages[program], core))

    # The runs of every core, and as many images as the host has cores to work on them.
    at_once = RUNS_PER_CORE * cores + len(os.sched_getaffinity(0))
    workers = [worker(core) for core in range(cores)]
    return Backend(workers, worker, at_once, limits=CHIP_LIMITS)


def _cpu(library: Library, streams: int) -> Backend:
    programs = _SharedPrograms(library, streams)

    def worker(_core: int) -> ProgramWorker:
        return ProgramWorker(programs.open, default_action=Action.REQUEST_FAULT)

    workers = [worker(core) for core in range(streams)]
    preload = programs.preload
    return Backend(workers, worker, 2 * streams, shared=True, limits=_CPU_LIMITS, preload=preload)


def open_runtime(artifact: Artifact, stages: Sequence[Program], streams: int = 1) -> Runtime:
    """Load what `Manifest.stages` gives on the CPU; bytes are checked against their hashes first.

    `streams` runs are wanted at once, sharing the cores; a runtime may do fewer.
    Raises ProgramError if the target is unknown, its package is missing, or loading fails;
    ArtifactError if the bytes are not what the manifest says.
    """
    module = _module(artifact)
    return _joined(artifact, stages, lambda stage: module.open_program(artifact, stage, streams))


def core_count(artifact: Artifact) -> Optional[int]:
    """How many cores of its chip this process has; None for a target that runs on the CPU.

    Raises ProgramError as `open_runtime`, and if there is no core.
    """
    if artifact.manifest.target not in _CHIPS:
        return None
    count: int = _module(artifact).CHIP.core_count(artifact)
    return count


def open_on_core(artifact: Artifact, stages: Sequence[Program], core: int) -> Runtime:
    """As `open_runtime`, on the core that is the `core`-th of this process, counted from 0."""
    chip = _module(artifact).CHIP
    return _joined(artifact, stages, lambda stage: chip.open_on_core(artifact, stage, core))


def _module(artifact: Artifact) -> Any:
    target = artifact.manifest.target
    if target not in _MODULES:
        raise ProgramError(
            f"{artifact.folder}: no runtime for target {target!r}; there are {', '.join(_MODULES)}"
        )
    try:
        return import_module(_MODULES[target])
    except ImportError as error:
        raise ProgramError(f"target {target!r} needs {not_installed(error)}") from error


def _joined(
    artifact: Artifact, stages: Sequence[Program], open_stage: Callable[[Program], Runtime]
) -> Runtime:
    """A chain, unless a single stage gives exactly the outputs of the artifact, or is one of
    several that the steps run: then its own outputs are wanted.
    """
    outputs = tuple(output.name for output in artifact.manifest.outputs)
    given = [tensor.name for stage in stages for tensor in stage.outputs]
    several = len(artifact.manifest.runs) > 1
    if len(stages) == 1 and (several or set(given) == set(outputs)):
        return open_stage(stages[0])
    return Chain([open_stage(stage) for stage in stages], outputs)


class _SharedPrograms:
    """Each program once for all streams of a CPU; of many, those that were used last."""

    def __init__(self, library: Library, streams: int) -> None:
        self._library = library
        self._streams = streams
        self._most = _CPU_PROGRAMS * len(library.any_artifact().manifest.runs)
        self._loading = Lock()  # for seconds: two at once could load one program twice
        self._looking = Lock()  # for no time, so that what is loaded runs meanwhile
        self._latest: OrderedDict[ProgramKey, Runtime] = OrderedDict()

    def open(self, program: ProgramKey) -> Runtime:
        """What runs it, loaded again if it had to make room meanwhile. Raises as `open_runtime`."""
        self.loaded(program)
        return _Shared(self, program)

    def loaded(self, program: ProgramKey) -> Runtime:
        return self._found(program) or self._load(program)

    def preload(self, program: ProgramKey) -> None:
        """Begin to load a program in a thread. An error is left to the run that needs it."""

        def load() -> None:
            with suppress(Exception):  # the run loads again, and says what it is
                self.loaded(program)

        # No daemon: the runtime's own threads must not run while Python ends.
        Thread(target=load, name=f"preload {program.name}", daemon=False).start()

    def _found(self, program: ProgramKey) -> Optional[Runtime]:
        with self._looking:
            if program in self._latest:
                self._latest.move_to_end(program)
            return self._latest.get(program)

    def _load(self, program: ProgramKey) -> Runtime:
        with self._loading:
            runtime = self._found(program)
            if runtime is None:
                self._make_room()
                runtime = open_runtime(*self._library.stages[program], self._streams)
                with self._looking:
                    self._latest[program] = runtime
            return runtime

    def _make_room(self) -> None:
        with self._looking:
            while len(self._latest) >= self._most:
                self._latest.popitem(last=False)  # gone once it runs nowhere


@dataclass(frozen=True)
class _Shared:
    """A program as a worker holds it."""

    programs: _SharedPrograms
    program: ProgramKey

    def run(self, arrays: Arrays) -> dict[str, FloatArray]:
        return self.programs.loaded(self.program).run(arrays)


class ProgramWorker:
    """One core that runs programs of artifacts: `Worker` by way of `Runtime`.

    `default_action`: used when the runtime's error of a run names no action. None means that the
    core is suspect.
    """

    def __init__(
        self, open_program: Callable[[ProgramKey], Runtime], default_action: Optional[Action] = None
    ) -> None:
        self._open = open_program
        self._default_action = default_action
        self._loaded: dict[ProgramKey, Runtime] = {}

    def load(self, program: ProgramKey) -> None:
        try:
            self._loaded[program] = self._open(program)
        except Exception as error:  # any error gets an action
            raise _program_error(error, Action.ARTIFACT_FAULT) from error

    def unload(self, program: ProgramKey) -> None:
        del self._loaded[program]

    def run(self, program: ProgramKey, arrays: Arrays) -> Arrays:
        try:
            return self._loaded[program].run(arrays)
        except Exception as error:  # as above
            raise _program_error(error, self._default_action) from error

    def close(self) -> None:
        self._loaded.clear()


def _program_error(error: Exception, default_action: Optional[Action]) -> ProgramError:
    """Any error as a failure of ours, with `default_action` as its action if it names none."""
    if isinstance(error, ProgramError):
        return ProgramError(str(error), error.action or default_action)
    if isinstance(error, (ServeError, DepthAnythingError)):
        return ProgramError(str(error), default_action)
    logger.error("unexpected error", exc_info=error)
    return ProgramError(f"unexpected {type(error).__name__}: {first_line(error)}", default_action)
