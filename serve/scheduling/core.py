"""One core: what it holds, what it has been handed, and how its threads do that."""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from threading import Condition, Lock
from typing import Callable, Optional, TypeVar

from depth.artifact.program import ProgramKey
from serve.errors import Action, ProgramError
from serve.scheduling.batching import split, stacked
from serve.scheduling.job import Job, Outcome
from serve.scheduling.request import Request
from serve.scheduling.worker import Worker

logger = logging.getLogger(__name__)

Result = TypeVar("Result")
Reopen = Callable[[int], Worker]  # a new worker for the core of this index


@dataclass(eq=False)
class Core:
    """Changed under the scheduler's lock, but for what its own threads do while it has a job:
    `worker`, `loaded`, `full` and `ran_until_s`.
    """

    index: int
    worker: Worker
    wake: Condition
    loaded: OrderedDict[ProgramKey, None] = field(default_factory=OrderedDict)  # latest used last
    jobs: list[Job] = field(default_factory=list)  # in the order in which it was handed them
    in_service: bool = True
    hung: bool = False  # a thread of it may never come back
    full: bool = False  # its memory ran out
    rests_until_s: float = 0.0
    last_used_s: float = 0.0
    failures: int = 0  # since its last success
    ran_until_s: float = 0.0
    memory: Lock = field(default_factory=Lock)  # of what is loaded and in use; held for moments
    unloading: Lock = field(default_factory=Lock)  # by a thread of it, as long as that takes

    def hand(self, program: Optional[ProgramKey], requests: list[Request]) -> Job:
        """What its threads do next; a program that it holds stays until that is done."""
        with self.memory:
            job = Job(program, requests, loads=program is None or program not in self.loaded)
            self.jobs.append(job)
        return job

    @property
    def loading(self) -> bool:
        return any(job.loads for job in self.jobs)

    @property
    def reopening(self) -> bool:
        """Whether its worker is opened again, or will be once what it runs has ended."""
        return any(job.program is None for job in self.jobs)

    def idle(self, now_s: float) -> bool:
        return self.in_service and not self.jobs and now_s >= self.rests_until_s

    def can_follow(self, program: ProgramKey, runs: int, now_s: float) -> bool:
        """Whether it may be handed a run of this program while it is at another one.

        `runs`: how many it may have at once. Not where memory has run out: what is in use cannot
        make room.
        """
        has_place = 0 < len(self.jobs) < runs and not self.loading and not self.full
        rested = now_s >= self.rests_until_s
        return self.in_service and has_place and rested and program in self.loaded

    def has(self, program: ProgramKey) -> bool:
        """Whether it holds the program or loads it now."""
        return program in self.loaded or any(job.program == program for job in self.jobs)

    def take(self) -> Optional[Job]:
        """What one of its threads does next: a run at once, all else when nothing runs."""
        for job in self.jobs:
            if not job.taken and (job is self.jobs[0] or not job.loads):
                job.taken = True
                return job
        return None

    def perform(self, job: Job, on_loaded: Callable[[], None], reopen: Optional[Reopen]) -> Outcome:
        """Do a job, in a thread of the core and without the lock; every error is in the outcome.

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
                self._load_and_run(job.program, job, on_loaded, outcome)
            elif reopen is not None:
                self._reopen(reopen)
        except Exception as error:  # whatever a worker raises, its thread goes on
            if not isinstance(error, ProgramError):
                logger.exception("core %d: unexpected error", self.index)
            return error
        return None

    def _load_and_run(
        self,
        program: ProgramKey,
        job: Job,
        on_loaded: Callable[[], None],
        outcome: Outcome,
    ) -> None:
        if program not in self.loaded:
            self._load(program, not job.warms, outcome)
            on_loaded()
        if job.requests:
            started_s = time.monotonic()
            arrays = stacked([request.arrays for request in job.requests], program.batch)
            job.at_device_s = time.monotonic()
            outputs = self._making_room(program, lambda: self.worker.run(program, arrays))
            answers = split(outputs, program.batch, len(job.requests))
            self._ran(program, started_s, outcome)
            outcome.answers = answers

    def _load(self, program: ProgramKey, to_run: bool, outcome: Outcome) -> None:
        started_s = time.monotonic()
        # Warming up must not push out what it has just loaded.
        load = self._making_room if to_run else _once
        load(program, lambda: self.worker.load(program))
        with self.memory:
            self.loaded[program] = None
        outcome.load_s = time.monotonic() - started_s

    def _ran(self, program: ProgramKey, started_s: float, outcome: Outcome) -> None:
        ended_s = time.monotonic()
        # What was handed over while another run was on the device began when that one ended.
        # Unless its thread got there first, since the other one came late to say so.
        outcome.run_s = max(0.0, ended_s - max(started_s, self.ran_until_s))
        self.ran_until_s = max(ended_s, self.ran_until_s)
        with self.memory:
            self.loaded.move_to_end(program)

    def _making_room(self, program: ProgramKey, call: Callable[[], Result]) -> Result:
        """Call; while memory runs out, unload the least recently used other and call again."""
        while True:
            try:
                return call()
            except ProgramError as error:
                if action_of(error) is not Action.UNLOAD or not self._unload_for(program):
                    raise

    def _unload_for(self, program: ProgramKey) -> bool:
        """False if there is nothing but this program and what is in use."""
        with self.unloading:
            with self.memory:
                self.full = True
                used = {job.program for job in tuple(self.jobs)}
                others = [held for held in self.loaded if held != program and held not in used]
                if not others:
                    return False
                del self.loaded[others[0]]  # who is handed it from now on loads it again
            logger.info("core %d: %s makes room for %s", self.index, others[0].name, program.name)
            self.worker.unload(others[0])
            return True

    def _reopen(self, reopen: Reopen) -> None:
        self.close()
        self.loaded.clear()
        self.worker = reopen(self.index)


def _once(_program: ProgramKey, call: Callable[[], Result]) -> Result:
    return call()


def _let_go(error: Optional[BaseException]) -> None:
    """Forget where it came from: those frames hold the program that failed, so a core's memory."""
    left, seen = [error], set()  # who caused whom may be a circle
    while left:
        error = left.pop()
        if error is not None and id(error) not in seen:
            seen.add(id(error))
            error.__traceback__ = None
            left += [error.__cause__, error.__context__]


def action_of(error: Exception) -> Optional[Action]:
    """What the error says to do; None if it says nothing."""
    return error.action if isinstance(error, ProgramError) else None
