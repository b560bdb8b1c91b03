"""What runs when and where: every decision of the scheduler, without threads, locks or clocks.

Call every method under the scheduler's lock, with the time of time.monotonic().
"""

from __future__ import annotations

import logging
import math
from collections.abc import Collection, Iterable
from typing import Callable, Optional, TypeVar

from depth.artifact.program import ProgramKey, Shape
from serve.errors import ClosedError, OutOfServiceError, RestartError
from serve.scheduling.core import CoreState, Run, RunResult, Snapshot
from serve.scheduling.faults import (
    NO_FAULT_OF_CORE,
    REST_S,
    OnCore,
    after_failure,
    after_hang,
    on_core,
)
from serve.scheduling.placement import Placement, has, idle
from serve.scheduling.queues import Queue, Request
from serve.scheduling.warming import Warming
from serve.scheduling.worker import Limits, action_of

logger = logging.getLogger(__name__)

Result = TypeVar("Result")
Event = Callable[[float], Result]  # called with the time


class Dispatcher:
    """The queues, the state of the cores, and the requests whose answer is due."""

    def __init__(
        self,
        cores: int,
        programs: Iterable[ProgramKey],
        limits: Limits,
        reopens: bool = False,
        shared: bool = False,
    ) -> None:
        self.cores = [CoreState(index) for index in range(cores)]
        self.queues: dict[Shape, Queue] = {}
        self.limits = limits
        self.placement = Placement(self.cores, limits, shared)
        self.warming = Warming(self.cores)
        self.closing = False
        self.outage: Optional[OutOfServiceError] = None  # why no request is taken any more
        self.alarm_s = math.inf  # when to call `expire` even if nothing happens
        self.answered: list[Request] = []  # their answers are given once the lock is free
        self._retries = 0
        self._changed: list[CoreState] = []  # since the last dispatch
        self._reopens = reopens
        self._shared = shared
        self.offer(programs)

    @property
    def drained(self) -> bool:
        waiting = any(queue.requests for queue in self.queues.values())
        return not (waiting or any(core.runs for core in self.cores))

    def snapshot(self) -> Snapshot:
        return Snapshot.of(
            self.cores,
            sum(len(queue.requests) for queue in self.queues.values()),
            self._retries,
        )

    def offer(self, programs: Iterable[ProgramKey]) -> None:
        """Take requests for these programs too."""
        for program in programs:
            queue = self.queues.setdefault(program.shape, Queue(self.limits.queue_size))
            queue.offer(program)

    def check_open(self) -> None:
        """Raises ClosedError or OutOfServiceError if no request can be taken."""
        if self.closing:
            raise ClosedError("the scheduler is closed and takes no more work")
        if self.outage is not None:
            raise type(self.outage)(str(self.outage))

    def turn(self, event: Event[Result], now_s: float) -> tuple[Result, list[CoreState]]:
        """Handle an event of this moment, then dispatch; returns what both return."""
        return event(now_s), self.dispatch(now_s)

    def schedule(self, request: Request, _now_s: float) -> bool:
        """Queue a request; False if its queue is full. Raises as `check_open`."""
        self.check_open()
        return self.queues[request.shape].append(request)

    def warm_up(self, shapes: Optional[Collection[Shape]] = None) -> None:
        """Have each core load the programs of these shapes, or all, while it has nothing to run.

        Raises as `check_open`.
        """
        self.check_open()
        queues = [q for shape, q in self.queues.items() if shapes is None or shape in shapes]
        self.warming.begin([program for queue in queues for program in queue.programs.values()])

    def dispatch(self, now_s: float) -> list[CoreState]:
        """Assign runs and loads to cores. Returns the cores whose threads have to look."""
        while self.next_run(now_s) is not None:
            pass
        for core in self.cores if not self.closing else ():
            while core.to_warm and idle(core, now_s) and self.placement.may_load:
                program = core.to_warm.popleft()
                if not has(core, program):
                    self._assign(core, program, [], now_s)
        moments = [q.next_moment_s(now_s) for q in self.queues.values() if q.requests]
        moments += [core.runs[0].until_s for core in self.cores if core.runs]
        moments += [c.rests_until_s for c in self.cores if c.rests_until_s > now_s]
        self.alarm_s = min(moments, default=math.inf)
        changed, self._changed = self._changed, []
        return changed

    def next_run(self, now_s: float) -> Optional[Run]:
        """Assign the next run to its core; its requests leave their queue in the same call.

        None if everything that waits has to wait. Drops requests that were cancelled, and answers
        those that have expired.
        """
        while waiting := [queue for queue in self.queues.values() if queue.requests]:
            placed = self.placement.next(waiting, now_s, self.closing)
            if placed is None:
                break
            _, queue, batch, core = placed
            requests, expired = queue.take(batch, now_s)
            self.answered += expired
            if requests:
                return self._assign(core, batch.program, requests, now_s)
        return None

    def loaded(self, run: Run, load_s: float, now_s: float) -> None:
        """A core has loaded the program of its run and begins to run it."""
        if run.program is None or run not in run.core.runs:  # the second: it was overdue
            return
        run.loads = False
        run.core.reopenings = 0
        run.core.loaded[run.program] = None
        if not self._shared:
            self.placement.measured.add_load(run.program, load_s)
        self._begin(run, now_s)

    def finish(self, run: Run, result: RunResult, now_s: float) -> None:
        """A core has ended its run, well or not."""
        core = run.core
        if run not in core.runs:  # the run was overdue, and its requests have been requeued
            return
        core.runs.remove(run)
        if core.runs:
            self._begin(core.runs[0], now_s)
        core.last_used_s = now_s
        if result.error is not None:
            self._failed(run, result.error, now_s)
        elif run.program is not None and run.requests:
            core.failures = 0
            waiting = bool(self.queues[run.requests[0].shape].requests)
            ran_s = self.placement.ran(core, run.program, result, waiting, now_s)
            for request, outputs in zip(run.requests, result.answers):
                request.future.ran_s = ran_s
                request.future.waited_s = now_s - ran_s - request.arrived_s
                request.outputs = outputs
            self.answered += run.requests

    def expire(self, now_s: float) -> None:
        """What only time brings about: deadlines that pass, and cores that hang."""
        for queue in self.queues.values():
            self.answered += queue.expire(now_s)
        for core in self.cores:
            if core.runs and now_s >= core.runs[0].until_s:
                self._hung(core)

    def restart_timeouts(self, now_s: float) -> None:
        """After a pause of the process: no core could be heard, so each gets all its time again."""
        for core in self.cores:
            if core.runs:
                core.runs[0].until_s = now_s + self.limits.timeout_s(core.runs[0].loads)

    def close(self, cancel: bool) -> list[Request]:
        """Take no more requests. With `cancel`, empty the queues.

        Answers the cancelled requests that were tried before; returns the others.
        """
        self.closing = True
        if not cancel:
            return []
        waiting = [request for queue in self.queues.values() for request in queue.drain()]
        error = "the scheduler was closed before this could be tried again; send it again later"
        for request in waiting:
            if request.claimed:
                request.error = ClosedError(error)
                self.answered.append(request)
        return [request for request in waiting if not request.claimed]

    def _assign(
        self, core: CoreState, program: Optional[ProgramKey], requests: list[Request], now_s: float
    ) -> Run:
        """Add a run to a core. A loaded program stays loaded until the run has ended."""
        run = Run(core, program, requests, loads=program is None or program not in core.loaded)
        core.runs.append(run)
        if run is core.runs[0]:
            self._begin(run, now_s)
        self._changed.append(core)
        return run

    def _begin(self, run: Run, now_s: float) -> None:
        """The run is the first of its core: the time-out of the runs behind it has not begun."""
        run.began_s, run.until_s = now_s, now_s + self.limits.timeout_s(run.loads)

    def _failed(self, run: Run, error: Exception, now_s: float) -> None:
        core = run.core
        # Log here: if a retry succeeds, nobody else reports that the core failed.
        level = logging.INFO if action_of(error) in NO_FAULT_OF_CORE else logging.WARNING
        logger.log(level, "core %d: %s", core.index, str(error))
        reopening = any(other.program is None for other in core.runs)
        if reopening or not core.in_service:  # an earlier failure is the cause
            self._requeue(run)
            return
        after_failure(run.requests, core, error)
        self._requeue(run)
        if run.program is None:  # not even a new worker works
            self._remove(core, error)
            return
        if not run.requests:
            self.warming.failed(core, run.program, error)
        response = on_core(core, error)
        if response is OnCore.REST:
            core.rests_until_s = now_s + REST_S
        elif response is OnCore.REOPEN and core.reopenings >= self.limits.reopenings:
            self._end(core, error)
        elif response is OnCore.REOPEN and self._reopens:
            core.reopenings += 1
            self._requeue_unstarted(core)
            core.to_warm.extendleft(core.loaded)  # what was used last is loaded first
            self._assign(core, None, [], now_s)
        elif response in (OnCore.REOPEN, OnCore.REMOVE):
            self._remove(core, error)

    def _hung(self, core: CoreState) -> None:
        limit_s = self.limits.timeout_s(core.runs[0].loads)
        # The device may have got a later run first, whose arrays were stacked sooner.
        first = min(core.runs, key=lambda run: run.at_device_s)
        behind = [run for run in core.runs if run is not first]
        core.runs, core.hung = [], True  # its threads see this if they ever return
        for run in behind:
            self._requeue(run)
        after_hang(first.requests, core, limit_s)
        self._requeue(first)
        self._remove(core, TimeoutError(f"no answer within {limit_s:g} s"))

    def _requeue(self, run: Run) -> None:
        """Put the requests of a run in front of their queue; answer those that have an error."""
        self.answered += [request for request in run.requests if request.error is not None]
        again = [request for request in run.requests if request.error is None]
        self._retries += len(again)
        if again:
            self.queues[again[0].shape].requeue(again)
        if self.outage is not None:
            self._answer_outage(self.outage)

    def _requeue_unstarted(self, core: CoreState) -> None:
        for run in [run for run in core.runs if not run.started]:
            core.runs.remove(run)
            self._requeue(run)

    def _remove(self, core: CoreState, error: Exception) -> None:
        """Take a core out of service; it ends the runs that have started."""
        core.in_service = False
        self._changed.append(core)
        logger.error("core %d: out of service: %s", core.index, str(error))
        self._requeue_unstarted(core)
        if self.outage is None and not any(other.in_service for other in self.cores):
            reason = f"every core is out of service, the last one because: {error}"
            advice = "start the service again, or replace the machine"
            self.outage = OutOfServiceError(f"{reason}; {advice}")
        if self.outage is not None:
            self._answer_outage(self.outage)

    def _end(self, core: CoreState, error: Exception) -> None:
        """Take no more requests: the core's runtime works again in a new process only."""
        self.outage = RestartError(
            f"core {core.index}, opened {core.reopenings} times again: {error}; restart the process"
        )
        self.warming.stop()
        self._remove(core, error)

    def _answer_outage(self, outage: OutOfServiceError) -> None:
        for request in [each for queue in self.queues.values() for each in queue.drain()]:
            if request.claim():
                request.error = type(outage)(str(outage))
                self.answered.append(request)
