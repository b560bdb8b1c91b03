"""The state of a core: its programs, runs and failures. Change it under the scheduler's lock."""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Optional

from depth.artifact.program import ProgramKey
from serve.arrays import Arrays
from serve.scheduling.request import Request


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
    ran_until_s: float = 0.0  # when the last run ended on the device

    @property
    def loading(self) -> bool:
        return any(run.loads for run in self.runs)

    @property
    def reopening(self) -> bool:
        """Whether the worker is reopened, or will be once the core's other run has ended."""
        return any(run.program is None for run in self.runs)

    def idle(self, now_s: float) -> bool:
        return self.in_service and not self.runs and now_s >= self.rests_until_s

    def can_follow(self, program: ProgramKey, runs_per_core: int, now_s: float) -> bool:
        """Whether the core may get a run of this program behind the one that it runs now.

        Not if its memory has run out: a program in use cannot make room.
        """
        has_place = 0 < len(self.runs) < runs_per_core and not self.loading and not self.full
        rested = now_s >= self.rests_until_s
        return self.in_service and has_place and rested and program in self.loaded

    def has(self, program: ProgramKey) -> bool:
        """Whether the core holds the program or loads it now."""
        return program in self.loaded or any(run.program == program for run in self.runs)

    def assign(self, program: Optional[ProgramKey], requests: list[Request]) -> Run:
        """Add a run. A loaded program stays loaded until the run has ended."""
        run = Run(self, program, requests, loads=program is None or program not in self.loaded)
        self.runs.append(run)
        return run

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

    def ran(self, program: ProgramKey, result: RunResult) -> float:
        """Note a run that went well. Returns how long the device took for it, in seconds.

        The time of a run that waited behind another one begins when that one ended. It is 0 if
        the other run's thread reported later.
        """
        started_s = max(result.started_s, self.ran_until_s)
        self.ran_until_s = max(result.ended_s, self.ran_until_s)
        self.failures = 0
        if program in self.loaded:
            self.loaded.move_to_end(program)
        return max(0.0, result.ended_s - started_s)
