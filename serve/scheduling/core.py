"""One core: what it holds, what it does now, and how it does it in its own thread."""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from threading import Condition
from typing import Callable, Optional, TypeVar

from depth_anything_v2.depth_map import FloatArray
from serve.errors import RuntimeFailure
from serve.neuron_status import Action
from serve.scheduling.batching import stacked
from serve.scheduling.request import Request
from serve.scheduling.worker import ProgramKey, Worker

logger = logging.getLogger(__name__)

Result = TypeVar("Result")
Reopen = Callable[[int], Worker]  # a new worker for the core of this index


@dataclass(eq=False)
class Job:
    """What a core does at one time."""

    program: Optional[ProgramKey]  # None: its worker is opened again
    requests: list[Request]  # none: the program is only loaded
    loads: bool  # it has not begun to run yet, nor ended
    until_s: float  # a core that is not done by then hangs

    @property
    def warms(self) -> bool:
        return not self.requests


@dataclass
class Outcome:
    """What became of a job, and how long its parts took."""

    depth: Optional[FloatArray] = None  # [B,H,W], with the padding
    error: Optional[Exception] = None
    load_s: Optional[float] = None
    run_s: Optional[float] = None


@dataclass(eq=False)
class Core:
    """Changed under the scheduler's lock, but for what its own thread does while it has a job:
    `worker`, `loaded` and `full`.
    """

    index: int
    worker: Worker
    wake: Condition
    loaded: OrderedDict[ProgramKey, None] = field(default_factory=OrderedDict)  # latest used last
    job: Optional[Job] = None
    in_service: bool = True
    hung: bool = False  # its thread may never come back
    full: bool = False  # it had to unload something to make room
    rests_until_s: float = 0.0
    last_used_s: float = 0.0
    failures: int = 0  # since its last success

    def idle(self, now_s: float) -> bool:
        return self.in_service and self.job is None and now_s >= self.rests_until_s

    def has(self, program: ProgramKey) -> bool:
        """Whether it holds the program or loads it now."""
        return program in self.loaded or (self.job is not None and self.job.program == program)

    def perform(self, job: Job, on_loaded: Callable[[], None], reopen: Optional[Reopen]) -> Outcome:
        """Do a job, in the core's thread and without the lock; every error is in the outcome.

        `on_loaded` is called between loading and running.
        """
        outcome = Outcome()
        outcome.error = self._attempt(job, on_loaded, reopen, outcome)
        _let_go(outcome.error)
        return outcome

    def close(self) -> None:
        """Give the core back; what goes wrong then is only logged."""
        try:
            self.worker.close()
        except Exception as error:  # it is given up either way
            logger.warning("core %d: could not be closed: %s", self.index, error)

    def _attempt(
        self,
        job: Job,
        on_loaded: Callable[[], None],
        reopen: Optional[Reopen],
        outcome: Outcome,
    ) -> Optional[Exception]:
        try:
            if job.program is not None:
                self._load_and_run(job.program, job.requests, on_loaded, outcome)
            elif reopen is not None:
                self._reopen(reopen)
        except Exception as error:  # whatever a worker raises, its thread goes on
            if not isinstance(error, RuntimeFailure):
                logger.exception("core %d: unexpected error", self.index)
            return error
        return None

    def _load_and_run(
        self,
        program: ProgramKey,
        requests: list[Request],
        on_loaded: Callable[[], None],
        outcome: Outcome,
    ) -> None:
        started_s = time.monotonic()
        if program not in self.loaded:
            # Warming up must not push out what it has just loaded.
            load = self._making_room if requests else _once
            load(program, lambda: self.worker.load(program))
            self.loaded[program] = None
            outcome.load_s = time.monotonic() - started_s
            on_loaded()
            started_s = time.monotonic()
        if requests:
            images = stacked([request.image for request in requests], program.batch)
            depth = self._making_room(program, lambda: self.worker.run(program, images))
            self.loaded.move_to_end(program)
            if depth.shape != (program.batch, *program.size):
                raise RuntimeFailure(
                    f"{program.name}: the worker gave depth of shape {list(depth.shape)}, "
                    f"expected {[program.batch, *program.size]}; compile the artifact again",
                    action=Action.ARTIFACT_FAULT,
                )
            outcome.depth, outcome.run_s = depth, time.monotonic() - started_s

    def _making_room(self, program: ProgramKey, call: Callable[[], Result]) -> Result:
        """Call; while memory runs out, unload the least recently used other and call again."""
        while True:
            try:
                return call()
            except RuntimeFailure as error:
                other = next((held for held in self.loaded if held != program), None)
                if action_of(error) is not Action.UNLOAD or other is None:
                    raise
                logger.info("core %d: %s makes room for %s", self.index, other.name, program.name)
                self.worker.unload(other)
                del self.loaded[other]
                self.full = True

    def _reopen(self, reopen: Reopen) -> None:
        self.close()
        self.loaded.clear()
        self.worker = reopen(self.index)


def _once(_program: ProgramKey, call: Callable[[], Result]) -> Result:
    return call()


def _let_go(error: Optional[BaseException]) -> None:
    """Forget where it came from: those frames hold the program that failed, so a core's memory."""
    while error is not None:
        error.__traceback__ = None
        error = error.__cause__ or error.__context__


def action_of(error: Exception) -> Optional[Action]:
    """What the error says to do; None if it says nothing."""
    return error.action if isinstance(error, RuntimeFailure) else None
