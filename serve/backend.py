"""What runs a library's programs: the cores of chips, or a CPU whose cores share every program."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from threading import Lock
from typing import Callable, Optional
from weakref import WeakValueDictionary

from depth_anything_v2.depth_map import FloatArray
from depth_anything_v2.errors import DepthAnythingError
from serve.errors import RuntimeFailure, ServeError
from serve.library import Library
from serve.neuron_status import Action
from serve.runtimes import Runtime, core_count, open_on_core, open_runtime
from serve.scheduling.core import Reopen
from serve.scheduling.dispatcher import Limits
from serve.scheduling.worker import ProgramKey, Worker

CPU_STREAMS = 2  # runs of the network that share the CPU; more only take more memory
_CPU_PROGRAMS = 4  # loaded at once; those of vits at 518 px take about 0.5 GB each
# Nothing on a CPU hangs: a large network on a busy machine is only slow.
_CPU_LIMITS = Limits(run_timeout_s=float("inf"), load_timeout_s=float("inf"))


@dataclass(frozen=True)
class Backend:
    """Cores for a scheduler, opened; its arguments of the same names say what the fields are."""

    workers: Sequence[Worker]
    reopen: Optional[Reopen]
    images_at_once: int  # so many under way keep the cores and the host busy
    shared: bool = False
    limits: Limits = Limits()


OpenBackend = Callable[[Library, int], Backend]


def open_backend(library: Library, images: int) -> Backend:
    """What the library's artifacts are made for: every core of this process, or the CPU.

    `images`: so many are wanted at once at most; on a CPU a single one has all its cores. Raises
    NoProgram if the library is empty, RuntimeFailure if the device cannot be used.
    """
    artifact = library.any_artifact()
    cores = core_count(artifact)
    return _cpu(library, min(CPU_STREAMS, images)) if cores is None else _chips(library, cores)


def _chips(library: Library, cores: int) -> Backend:
    def worker(core: int) -> ProgramWorker:
        return ProgramWorker(partial(_open_on_core, library, core))

    # One image on each core, one that waits for it, and the rest in the hands of the host.
    at_once = 2 * cores + len(os.sched_getaffinity(0))
    return Backend([worker(core) for core in range(cores)], worker, at_once)


def _open_on_core(library: Library, core: int, program: ProgramKey) -> Runtime:
    return open_on_core(*library.stages(program), core)


def _cpu(library: Library, streams: int) -> Backend:
    programs = _SharedPrograms(library, streams)

    def worker(_core: int) -> ProgramWorker:
        return ProgramWorker(programs.open, _CPU_PROGRAMS, otherwise=Action.REQUEST_FAULT)

    workers = [worker(core) for core in range(streams)]
    return Backend(workers, worker, 2 * streams, shared=True, limits=_CPU_LIMITS)


class _SharedPrograms:
    """Each program once, for as long as a worker holds it."""

    def __init__(self, library: Library, streams: int) -> None:
        self._library = library
        self._streams = streams
        self._loading = Lock()
        self._loaded: WeakValueDictionary[ProgramKey, Runtime] = WeakValueDictionary()

    def open(self, program: ProgramKey) -> Runtime:
        with self._loading:
            runtime = self._loaded.get(program)
            if runtime is None:
                runtime = open_runtime(*self._library.stages(program), self._streams)
                self._loaded[program] = runtime
            return runtime


class ProgramWorker:
    """One core that runs programs of artifacts: `Worker` by way of `Runtime`.

    `capacity`: how many it holds; None: as many as there is memory for. `otherwise`: what a failure
    of a run means whose runtime does not say; None: that the core may be at fault.
    """

    def __init__(
        self,
        open_program: Callable[[ProgramKey], Runtime],
        capacity: Optional[int] = None,
        otherwise: Optional[Action] = None,
    ) -> None:
        self._open = open_program
        self._capacity = capacity
        self._otherwise = otherwise
        self._loaded: dict[ProgramKey, Runtime] = {}

    def load(self, program: ProgramKey) -> None:
        if self._capacity is not None and len(self._loaded) >= self._capacity:
            raise RuntimeFailure(f"{self._capacity} programs are loaded already", Action.UNLOAD)
        try:
            self._loaded[program] = self._open(program)
        except (ServeError, DepthAnythingError) as error:
            raise _said(error, Action.ARTIFACT_FAULT) from error

    def unload(self, program: ProgramKey) -> None:
        del self._loaded[program]

    def run(self, program: ProgramKey, images: FloatArray) -> FloatArray:
        try:
            return self._loaded[program].run(images)
        except RuntimeFailure as error:
            raise _said(error, self._otherwise) from error

    def close(self) -> None:
        self._loaded.clear()


def _said(error: Exception, otherwise: Optional[Action]) -> RuntimeFailure:
    """The failure, with `otherwise` for its action if it names none."""
    action = error.action if isinstance(error, RuntimeFailure) else None
    return RuntimeFailure(str(error), action or otherwise)
