"""What each core has yet to load, so that no request has to wait for it."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from typing import Optional

from depth.artifact.program import ProgramKey
from serve.errors import Action
from serve.scheduling.core import Core, action_of
from serve.scheduling.faults import RESPONSES, RETRIES, OnRequests


class Warming:
    """Every method is called under the scheduler's lock."""

    def __init__(self, cores: Sequence[Core]) -> None:
        self.errors: dict[ProgramKey, Exception] = {}  # of what a core could not load
        self._cores = cores
        self._left: dict[int, deque[ProgramKey]] = {core.index: deque() for core in cores}
        self._failures: Counter[tuple[int, ProgramKey]] = Counter()

    @property
    def done(self) -> bool:
        """Whether no core that is in service loads or has anything left to load."""
        return not any(
            core.in_service and (self._lacks(core) or any(job.warms for job in core.jobs))
            for core in self._cores
        )

    def begin(self, programs: Sequence[ProgramKey]) -> None:
        """Have each core load these, each beginning with another one.

        So cores that have no memory for all of them hold different ones.
        """
        self.errors.clear()
        self._failures.clear()
        for core in self._cores:
            left = self._left[core.index] = deque(programs)
            left.rotate(-core.index)

    def again(self, core: Core) -> None:
        """Have a core that is opened again load what it held, what it used last first."""
        self._left[core.index].extendleft(tuple(core.loaded))

    def next(self, core: Core) -> Optional[ProgramKey]:
        """What a core should load now."""
        left = self._left[core.index]
        while left:
            program = left.popleft()
            if not core.has(program):
                return program
        return None

    def failed(self, core: Core, program: ProgramKey, error: Exception) -> None:
        """A core could not load a program: is it tried again there?"""
        left, action = self._left[core.index], action_of(error)
        if action is Action.UNLOAD and core.loaded:
            left.clear()  # memory is full, which is as warm as it gets
            return
        self._failures[core.index, program] += 1
        again = RESPONSES[action].requests is OnRequests.AGAIN and action is not Action.UNLOAD
        if again and self._failures[core.index, program] <= RETRIES:
            left.appendleft(program)
        else:
            self.errors[program] = error

    def stop(self) -> None:
        """Nothing more is loaded before it is needed."""
        for left in self._left.values():
            left.clear()

    def _lacks(self, core: Core) -> bool:
        return any(not core.has(program) for program in self._left[core.index])
