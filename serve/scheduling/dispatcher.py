"""Who runs what, when and where: the scheduler's state, without threads, locks or clocks.

Every method is called under the scheduler's lock, with the time of time.monotonic().
"""

from __future__ import annotations

import logging
import math
from collections.abc import Collection, Iterable, Sequence
from typing import Optional

from depth.artifact.program import ProgramKey, Shape
from serve.arrays import Arrays
from serve.errors import ClosedError, OutOfServiceError
from serve.scheduling.core import Core, action_of
from serve.scheduling.faults import (
    NO_FAULT_OF_CORE,
    REST_S,
    OnCore,
    Sorted,
    after_failure,
    after_hang,
    on_core,
)
from serve.scheduling.job import Job, Outcome
from serve.scheduling.limits import Limits
from serve.scheduling.placement import Measured
from serve.scheduling.planning import Plan, Planner
from serve.scheduling.queues import Queue
from serve.scheduling.request import Answer, Request, expiry
from serve.scheduling.warming import Warming

logger = logging.getLogger(__name__)


class Dispatcher:
    """What waits, what the cores hold and do, and the answers that are due."""

    def __init__(
        self,
        cores: Sequence[Core],
        programs: Iterable[ProgramKey],
        reopens: bool,
        limits: Limits,
        shared: bool = False,
    ) -> None:
        self.cores = cores
        self.queues: dict[Shape, Queue] = {}
        self.limits = limits
        self.closing = False
        self.outage: Optional[OutOfServiceError] = None  # set when the last core has gone
        self.alarm_s = math.inf  # when to look again even if nothing happens
        self.answers: list[Answer] = []  # to be given once the lock is free
        self.warming = Warming(cores)
        self.retries = 0
        self._changed: list[Core] = []  # since the last dispatch
        self._reopens = reopens
        self._shared = shared
        self._measured = Measured(load_s=0.0 if shared else math.inf)
        self._planner = Planner(cores, limits, self._measured)
        self.offer(programs)

    @property
    def waiting(self) -> int:
        return sum(map(len, self.queues.values()))

    @property
    def drained(self) -> bool:
        return not self.waiting and not any(core.jobs for core in self.cores)

    def offer(self, programs: Iterable[ProgramKey]) -> None:
        """Take requests for these programs too."""
        for program in programs:
            queue = self.queues.setdefault(program.shape, Queue(self.limits.queue_size))
            queue.batches = sorted({*queue.batches, program.batch})

    def add(self, request: Request) -> None:
        self.queues[request.shape].append(request)
        self._remind_of(request)

    def warm_up(self, shapes: Optional[Collection[Shape]] = None) -> None:
        """Have each core load the programs of these shapes, or all, while it has nothing to run."""
        self.warming.begin(
            [
                shape.batch_of(batch)
                for shape, queue in self.queues.items()
                for batch in queue.batches
                if shapes is None or shape in shapes
            ]
        )

    def dispatch(self, now_s: float) -> list[Core]:
        """Hand cores what they can do. Returns those whose threads should look."""
        queues = self.queues.values()
        plan = self._planner.next_plan(queues, now_s, self.closing)
        while plan is not None:
            requests = self._take(plan, now_s)
            if requests:
                self._hand(plan.core, plan.program, requests, now_s)
            plan = self._planner.next_plan(queues, now_s, self.closing)
        for core in self.cores:
            program = self._to_warm(core, now_s)
            if program is not None:
                self._hand(core, program, [], now_s)
        changed, self._changed = self._changed, []
        return changed

    def loaded(self, job: Job, now_s: float) -> None:
        """A core has loaded its job's program and begins to run it."""
        job.loads = False
        self._begin(job, now_s)

    def finish(self, core: Core, job: Job, outcome: Outcome, now_s: float) -> None:
        """A core is done with its job, well or not."""
        core.jobs.remove(job)
        if core.jobs:
            self._begin(core.jobs[0], now_s)
        core.last_used_s = now_s
        if job.program is not None and outcome.load_s is not None and not self._shared:
            self._measured.add_load(job.program, outcome.load_s)
        if job.program is not None and outcome.run_s is not None:
            self._measured.add_run(job.program, outcome.run_s, now_s)
        if outcome.error is not None:
            self._failed(core, job, outcome.error, now_s)
        elif job.program is not None and outcome.answers is not None:
            core.failures = 0
            ran_s = outcome.run_s or 0.0
            self._answer(job.requests, outcome.answers, ran_s, now_s)
            self._note_starving(job.program, ran_s, now_s)

    def look(self, now_s: float) -> None:
        """What only time brings about: deadlines that pass, and cores that hang."""
        for queue in self.queues.values():
            expired = [request for request in queue.take_expired(now_s) if request.claim()]
            self.answers += [expiry(request, now_s) for request in expired]
        for core in self.cores:
            if core.jobs and now_s >= core.jobs[0].until_s:
                self._hung(core)
        self.alarm_s = self._next_moment_s(now_s)

    def begin_anew(self, now_s: float) -> None:
        """After a pause of the process: no core could be heard, so each gets all its time again."""
        for core in self.cores:
            if core.jobs:
                core.jobs[0].until_s = now_s + self._limit_s(core.jobs[0].loads)

    def cancel_waiting(self) -> list[Request]:
        """Empty the queues; who has been tried before is answered, the others are returned."""
        waiting = [request for queue in self.queues.values() for request in queue.take(len(queue))]
        tried = [request for request in waiting if request.claimed]
        error = "the scheduler was closed before this could be tried again; send it again later"
        self.answers += [Answer(request, error=ClosedError(error)) for request in tried]
        return [request for request in waiting if not request.claimed]

    def _to_warm(self, core: Core, now_s: float) -> Optional[ProgramKey]:
        if self.closing or not core.idle(now_s) or not self._planner.may_load:
            return None
        return self.warming.next(core)

    def _take(self, plan: Plan, now_s: float) -> list[Request]:
        """Requests for one run; those that were cancelled or expired are dropped on the way."""
        together = plan.queue.together(plan.program.batch, plan.start)
        taken = plan.queue.take(together, plan.start)
        live = [request for request in taken if request.claim()]
        self.answers += [expiry(request, now_s) for request in live if request.expired(now_s)]
        return [request for request in live if not request.expired(now_s)]

    def _hand(
        self, core: Core, program: Optional[ProgramKey], requests: list[Request], now_s: float
    ) -> None:
        job = core.hand(program, requests)
        if job is core.jobs[0]:
            self._begin(job, now_s)
        self._changed.append(core)

    def _begin(self, job: Job, now_s: float) -> None:
        """It is the first that its core has: what comes after it has not begun."""
        job.began_s, job.until_s = now_s, now_s + self._limit_s(job.loads)
        self._remind(job.until_s)

    def _limit_s(self, loads: bool) -> float:
        return self.limits.load_timeout_s if loads else self.limits.run_timeout_s

    def _answer(
        self, requests: Sequence[Request], answers: Sequence[Arrays], ran_s: float, now_s: float
    ) -> None:
        for request, outputs in zip(requests, answers):
            request.future.ran_s = ran_s
            request.future.waited_s = now_s - ran_s - request.arrived_s
            self.answers.append(Answer(request, outputs=outputs))

    def _note_starving(self, program: ProgramKey, ran_s: float, now_s: float) -> None:
        others = any(core.idle(now_s) and not core.has(program) for core in self.cores)
        if others and len(self.queues[program.shape]):
            self._measured.starved_s[program] += ran_s

    def _failed(self, core: Core, job: Job, error: Exception, now_s: float) -> None:
        # A core's failures would else go unseen if trying again helps; requests are told theirs.
        level = logging.INFO if action_of(error) in NO_FAULT_OF_CORE else logging.WARNING
        logger.log(level, "core %d: %s", core.index, str(error))
        if core.reopening or not core.in_service:  # by what failed before it, and not by this run
            self._put_back(job, Sorted(job.requests, []))
            return
        self._put_back(job, after_failure(job.requests, core, error))
        if job.program is None:  # not even a new worker
            self._remove(core, error)
            return
        if job.warms:
            self.warming.failed(core, job.program, error)
        self._respond(core, error, now_s)

    def _respond(self, core: Core, error: Exception, now_s: float) -> None:
        response = on_core(core, error)
        if response is OnCore.REST:
            core.rests_until_s = now_s + REST_S
            self._remind(core.rests_until_s)
        elif response is OnCore.REOPEN and self._reopens:
            self._take_back(core)
            self.warming.again(core)
            self._hand(core, None, [], now_s)
        elif response in (OnCore.REOPEN, OnCore.REMOVE):
            self._remove(core, error)

    def _hung(self, core: Core) -> None:
        limit_s = self._limit_s(core.jobs[0].loads)
        # The device may have got a later one first, whose arrays were together sooner.
        first = min(core.jobs, key=lambda job: job.at_device_s)
        behind = [job for job in core.jobs if job is not first]
        core.jobs, core.hung = [], True  # its threads see this if they ever return
        for job in behind:
            self._put_back(job, Sorted(job.requests, []))
        self._put_back(first, after_hang(first.requests, core, limit_s))
        self._remove(core, TimeoutError(f"no answer within {limit_s:g} s"))

    def _put_back(self, job: Job, found: Sorted) -> None:
        self.answers += found.answers
        self.retries += len(found.again)
        if job.program is not None and found.again:
            self.queues[job.program.shape].put_back(found.again)
            for request in found.again:  # nobody looked out for it while a core had it
                self._remind_of(request)
        if self.outage is not None:
            self._tell_outage()

    def _remove(self, core: Core, error: Exception) -> None:
        core.in_service = False
        self._changed.append(core)
        logger.error("core %d: out of service: %s", core.index, str(error))
        self._take_back(core)
        if not any(other.in_service for other in self.cores):
            reason = f"every core is out of service, the last one because: {error}"
            advice = "start the service again, or replace the machine"
            self.outage = OutOfServiceError(f"{reason}; {advice}")
            self._tell_outage()

    def _take_back(self, core: Core) -> None:
        """What it has been handed and has not begun."""
        for job in [job for job in core.jobs if not job.taken]:
            core.jobs.remove(job)
            self._put_back(job, Sorted(job.requests, []))

    def _tell_outage(self) -> None:
        for queue in self.queues.values():
            for request in queue.take(len(queue)):
                if request.claim():
                    self.answers.append(Answer(request, error=OutOfServiceError(str(self.outage))))

    def _remind(self, moment_s: float) -> None:
        self.alarm_s = min(self.alarm_s, moment_s)

    def _remind_of(self, request: Request) -> None:
        if request.due_s > request.arrived_s:
            self._remind(request.due_s)
        self._remind(request.expires_s)

    def _next_moment_s(self, now_s: float) -> float:
        moments = [queue.next_moment_s(now_s) for queue in self.queues.values()]
        moments += [core.jobs[0].until_s for core in self.cores if core.jobs]
        moments += [c.rests_until_s for c in self.cores if c.rests_until_s > now_s]
        return min(moments, default=math.inf)
