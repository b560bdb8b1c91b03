"""A core: its state, which changes under the scheduler's lock, and what its threads do without it.

The threads load, run and unload programs on the core's worker.
"""

from __future__ import annotations

import logging
import math
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from threading import Condition, Lock
from typing import Callable, Optional, TypeVar

import numpy as np

from depth.artifact.program import ProgramKey
from serve.arrays import Arrays
from serve.errors import Action, ProgramError
from serve.scheduling.queues import Request
from serve.scheduling.worker import Reopen, Worker, action_of

logger = logging.getLogger(__name__)

Result = TypeVar("Result")


@dataclass(eq=False)
class Run:
    """Work for one core: requests to run together, a program to load, or a worker to reopen."""

    core: CoreState
    program: Optional[ProgramKey]  # None: the core's worker is reopened
    requests: list[Request]  # empty: the program is only loaded
    loads: bool  # the program is still to be loaded, or the worker to be reopened
    started: bool = False  # a thread of the core has taken the run
    began_s: float = math.inf  # when the run became the first of its core
    until_s: float = math.inf  # after this time the core counts as hanging
    at_device_s: float = math.inf  # when its thread had stacked its arrays and called the worker


@dataclass(frozen=True)
class RunResult:
    """What became of a run: the answers of its requests in their order, or an error."""

    answers: Sequence[Arrays] = ()
    error: Optional[Exception] = None
    started_s: float = 0.0  # when the thread began to stack the arrays
    ended_s: float = 0.0


@dataclass(eq=False)
class CoreState:
    """What the dispatcher knows of a core. `CoreThread` does the core's work."""

    index: int
    loaded: OrderedDict[ProgramKey, None] = field(default_factory=OrderedDict)  # latest used last
    runs: list[Run] = field(default_factory=list)  # in the order in which they were dispatched
    to_warm: deque[ProgramKey] = field(default_factory=deque)  # to load while the core is idle
    in_service: bool = True
    hung: bool = False  # a thread of the core may never come back
    full: bool = False  # the core's memory ran out
    rests_until_s: float = 0.0
    last_used_s: float = 0.0
    failures: int = 0  # since the last success
    reopenings: int = 0  # since a program was loaded or run with success
    ran_until_s: float = 0.0  # when the last run ended on the device
    busy_s: float = 0.0  # in runs that gave outputs
    batches: Counter[int] = field(default_factory=Counter)  # such runs by their requests

    def start_next(self) -> Optional[Run]:
        """The run that a thread of the core does next: loads and reopening wait for other runs."""
        for run in self.runs:
            if not run.started and (run is self.runs[0] or not run.loads):
                run.started = True
                if run.program is None:
                    self.loaded.clear()
                return run
        return None

    def evict(self, program: ProgramKey) -> Optional[ProgramKey]:
        """Make room for a program: forget the least recently used other one, and return it.

        None if every other program is in use. Memory has run out; a run that needs the evicted
        program from now on loads it again.
        """
        self.full = True
        used = {run.program for run in self.runs}
        for held in self.loaded:
            if held != program and held not in used:
                del self.loaded[held]
                return held
        return None


@dataclass(frozen=True)
class Snapshot:
    """How a scheduler is doing at one moment."""

    waiting: int  # requests in the queues
    running: int  # requests on the cores
    cores: int
    cores_in_service: int
    retries: int  # requests that were requeued after a failure, since the start
    batches: Mapping[int, int] = field(default_factory=dict, compare=False)  # runs by requests
    busy_s: Sequence[float] = field(default=(), compare=False)  # of each core in runs

    @staticmethod
    def of(cores: Sequence[CoreState], waiting: int, retries: int) -> Snapshot:
        return Snapshot(
            waiting,
            sum(len(run.requests) for core in cores for run in core.runs),
            len(cores),
            sum(core.in_service for core in cores),
            retries,
            sum((core.batches for core in cores), Counter()),
            [core.busy_s for core in cores],
        )


class CoreThread:
    """The work of one core, in one or more threads, without the scheduler's lock.

    wake       wakes the threads when the core has a run for them
    threads    how many have not ended
    reopen     makes a new worker
    on_loaded  called with a run and its loading time in seconds, between loading and running
    evict      called when memory runs out: the program to unload, None if there is none
    """

    def __init__(
        self,
        core: CoreState,
        worker: Worker,
        wake: Condition,
        threads: int,
        reopen: Optional[Reopen],
        on_loaded: Callable[[Run, float], None],
        evict: Callable[[CoreState, ProgramKey], Optional[ProgramKey]],
    ) -> None:
        self.core = core
        self.name = f"core {core.index}"
        self.worker = worker
        self.wake = wake
        self.threads = threads
        self._reopen = reopen
        self._on_loaded = on_loaded
        self._evict = evict
        self._unloading = Lock()  # held as long as unloading takes

    def perform(self, run: Run) -> RunResult:
        """Do a run; every error is in the result."""
        try:
            return self._reopened() if run.program is None else self._load_and_run(run.program, run)
        except Exception as error:  # whatever a worker raises, its thread goes on
            if not isinstance(error, ProgramError):
                logger.exception("core %d: unexpected error", self.core.index)
            _forget_frames(error)
            return RunResult(error=error)

    def close(self) -> None:
        """Give the core back; an error is only logged."""
        try:
            self.worker.close()
        except Exception as error:  # the worker is given up either way
            logger.warning("core %d: could not be closed: %s", self.core.index, error)

    def _load_and_run(self, program: ProgramKey, run: Run) -> RunResult:
        if run.loads:
            started_s = time.monotonic()
            if not run.requests:  # must not evict what warming up has just loaded
                self.worker.load(program)
            else:
                self._making_room(program, lambda: self.worker.load(program))
            self._on_loaded(run, time.monotonic() - started_s)
        if not run.requests:
            return RunResult()
        started_s = time.monotonic()
        arrays = stacked([request.arrays for request in run.requests], program.batch)
        run.at_device_s = time.monotonic()
        outputs = self._making_room(program, lambda: self.worker.run(program, arrays))
        answers = split(outputs, program.batch, len(run.requests))
        return RunResult(answers, None, started_s, time.monotonic())

    def _making_room(self, program: ProgramKey, call: Callable[[], Result]) -> Result:
        """Call; while memory runs out, unload the least recently used other and call again."""
        while True:
            try:
                return call()
            except ProgramError as error:
                if action_of(error) is not Action.UNLOAD or not self._unload_for(program):
                    raise

    def _unload_for(self, program: ProgramKey) -> bool:
        with self._unloading:
            evicted = self._evict(self.core, program)
            if evicted is None:
                return False
            logger.info(
                "core %d: %s makes room for %s", self.core.index, evicted.name, program.name
            )
            self.worker.unload(evicted)
            return True

    def _reopened(self) -> RunResult:
        self.close()
        if self._reopen is not None:
            self.worker = self._reopen(self.core.index)
        return RunResult()


def stacked(requests: Sequence[Arrays], batch: int) -> Arrays:
    """Each array [...] of the requests -> [batch,...]; the last request fills the places left over.

    A request, because a place filled with zeros could fail where requests do not. Raises
    ProgramError if the requests do not go together.
    """
    first = requests[0]
    if len(requests) == batch == 1:
        return {name: array[None] for name, array in first.items()}  # views: images are megabytes
    padded = [*requests, *[requests[-1]] * (batch - len(requests))]
    try:
        return {name: np.stack([arrays[name] for arrays in padded]) for name in first}
    except (KeyError, ValueError) as error:
        raise ProgramError(
            f"requests of one batch have other arrays: {error}", Action.REQUEST_FAULT
        ) from error


def split(outputs: Arrays, batch: int, count: int) -> list[Arrays]:
    """Each output [batch,...] -> the first `count` answers, whose arrays [...] are views of it.

    Raises ProgramError if an output has no axis for the batch.
    """
    for name, array in outputs.items():
        if not array.ndim or len(array) != batch:
            raise ProgramError(
                f"output {name} has shape {list(array.shape)}, expected {batch} in front; compile "
                "the artifact again",
                Action.ARTIFACT_FAULT,
            )
    return [{name: array[place] for name, array in outputs.items()} for place in range(count)]


def _forget_frames(error: BaseException) -> None:
    """Drop the tracebacks: their frames hold the program that failed, so memory of the core."""
    left: list[Optional[BaseException]] = [error]
    seen = set()  # causes and contexts may form a circle
    while left:
        current = left.pop()
        if current is not None and id(current) not in seen:
            seen.add(id(current))
            current.__traceback__ = None
            left += [current.__cause__, current.__context__]
