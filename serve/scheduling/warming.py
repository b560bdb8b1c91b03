"""Programs that cores load while they are idle, so that no request has to wait for the load."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence

from depth.artifact.program import ProgramKey
from serve.errors import Action
from serve.scheduling.core import CoreState
from serve.scheduling.faults import RESPONSES, RETRIES, OnRequests
from serve.scheduling.placement import has
from serve.scheduling.worker import action_of


class Warming:
    """Fills and empties `to_warm` of the cores. Call every method under the scheduler's lock."""

    def __init__(self, cores: Sequence[CoreState]) -> None:
        self.errors: dict[ProgramKey, Exception] = {}  # of programs that a core could not load
        self._cores = cores
        self._failures: Counter[tuple[int, ProgramKey]] = Counter()

    @property
    def done(self) -> bool:
        """Whether no core in service loads a program unasked or still has to."""
        cores = [core for core in self._cores if core.in_service]
        loading = any(not run.requests for core in cores for run in core.runs)
        return not loading and all(has(core, each) for core in cores for each in core.to_warm)

    def begin(self, programs: Sequence[ProgramKey]) -> None:
        """Have each core load these programs, each core beginning with another one.

        So cores that have no memory for all of them hold different ones.
        """
        self.errors.clear()
        self._failures.clear()
        for core in self._cores:
            core.to_warm = deque(programs)
            core.to_warm.rotate(-core.index)

    def failed(self, core: CoreState, program: ProgramKey, error: Exception) -> None:
        """A core could not load a program: try again there, or keep the error."""
        action = action_of(error)
        if action is Action.UNLOAD and core.loaded:
            core.to_warm.clear()  # memory is full, which is as warm as it gets
            return
        self._failures[core.index, program] += 1
        retry = RESPONSES[action].requests is OnRequests.RETRY and action is not Action.UNLOAD
        if retry and self._failures[core.index, program] <= RETRIES:
            core.to_warm.appendleft(program)
        else:
            self.errors[program] = error

    def stop(self) -> None:
        """Load nothing more before a request needs it."""
        for core in self._cores:
            core.to_warm.clear()
