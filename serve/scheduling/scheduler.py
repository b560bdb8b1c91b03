"""Requests of many callers onto the cores of one process: queued, batched, retried, answered once.

    caller ─ submit ─▶ queue per shape ─ dispatch ─▶ core's threads ─ worker ─▶ future

One thread for each run that a core may have at once, and one that sleeps until a deadline passes or
a core is overdue. What they share changes in a turn: under the lock, with the answers after it.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from types import TracebackType
from typing import Callable, Optional

from depth.artifact.program import ProgramKey, Shape
from depth.errors import InputError
from serve.arrays import Arrays
from serve.errors import ClosedError, ExpiredError, OutOfServiceError, QueueFullError
from serve.scheduling.core import Core, Reopen
from serve.scheduling.dispatcher import Dispatcher
from serve.scheduling.job import Job
from serve.scheduling.limits import Limits
from serve.scheduling.pause import Sleep
from serve.scheduling.request import Pending, Request, check
from serve.scheduling.snapshot import Snapshot
from serve.scheduling.worker import Worker

logger = logging.getLogger(__name__)

DEFAULT_LIMITS = Limits()
_LOOK_EVERY_S = 0.1  # whether warming up is given up, or a request that waits
_CLOSING_TIMEOUT_S = 10.0  # for giving back a core; one that takes longer is left to itself


class Scheduler:
    """Runs requests on several cores. Safe in any thread; a context manager that drains.

    `workers`: one for each core, opened. `programs`: what each of them can load. `reopen` makes a
    new worker for a core whose old one has to be recycled; without it such a core goes out of
    service. `shared`: what one core has loaded costs the others nothing. A request is answered
    with its outputs, ExpiredError, OutOfServiceError, ClosedError, or ProgramError, after as many
    tries as its `action` allows. Callbacks of futures run in a core's thread, so they must be short
    and must not wait for this scheduler. Raises InputError if there is no worker.
    """

    def __init__(
        self,
        workers: Sequence[Worker],
        programs: Iterable[ProgramKey],
        reopen: Optional[Reopen] = None,
        limits: Limits = DEFAULT_LIMITS,
        shared: bool = False,
    ) -> None:
        if not workers:
            raise InputError("a scheduler needs at least one worker")
        self._lock = threading.Lock()
        self._alarm = threading.Condition(self._lock)  # wakes the thread that watches the time
        self._changed = threading.Condition(self._lock)  # wakes callers that wait for anything
        self._warming = threading.Lock()  # held as long as it takes: one call at a time
        self._callers = 0
        self._sleep = Sleep()
        self._stopped = False
        self._reopen = reopen
        self._cores = [Core(i, w, threading.Condition(self._lock)) for i, w in enumerate(workers)]
        self._state = Dispatcher(self._cores, programs, reopen is not None, limits, shared)
        # Daemons, so that a core that hangs for good does not keep the process from ending.
        # How many threads each core has that have not ended.
        self._serving = Counter(dict.fromkeys(self._cores, limits.runs_per_core))
        self._threads = [
            (core, threading.Thread(target=self._serve, args=(core,), name=f"core {core.index}"))
            for core in self._serving.elements()
        ]
        self._watching = threading.Thread(target=self._watch, name="scheduler")
        for thread in (*(thread for _, thread in self._threads), self._watching):
            thread.daemon = True
            thread.start()

    @property
    def shapes(self) -> list[Shape]:
        """The shapes that have a program."""
        return list(self._state.queues)

    def snapshot(self) -> Snapshot:
        with self._lock:
            return Snapshot.of(self._state)

    def offer(self, programs: Iterable[ProgramKey]) -> None:
        """Take requests for these programs too; every worker must be able to load them."""
        with self._turn() as state:
            state.offer(programs)

    def warm_up(
        self,
        shapes: Optional[Collection[Shape]] = None,
        given_up: Callable[[], bool] = lambda: False,
    ) -> bool:
        """Load the programs of these shapes, or all, on all cores, as far as memory goes.

        A core that could not is tried again like with requests. False if it was given up. Raises
        ClosedError, OutOfServiceError if no core is left, or the error of what loads nowhere. Of
        several calls at once, one comes after the other.
        """
        while not self._warming.acquire(timeout=_LOOK_EVERY_S):
            if given_up():
                return False
        try:
            return self._warm_up(shapes, given_up)
        finally:
            self._warming.release()

    def submit(
        self,
        arrays: Arrays,
        shape: Shape,
        deadline_s: Optional[float] = None,
        wait: bool = True,
    ) -> Pending:
        """A program's inputs by name -> the future of its outputs by name, all without batch axis.

        `shape` is one of `shapes`; the arrays must not change until the answer is there. A request
        that has not begun to run after `deadline_s`, or would have to again, is answered with
        ExpiredError. If too many wait already, the call blocks, or with `wait` false raises
        QueueFullError. `Future.cancel` works until a core has the request. Arrays of an answer are
        views of the batch that they ran in.

        Raises NoProgramError, InputError, QueueFullError, ExpiredError, ClosedError or
        OutOfServiceError.
        """
        check(arrays, shape, deadline_s, self._state.queues)
        now_s = time.monotonic()
        expires_s = math.inf if deadline_s is None else now_s + deadline_s
        # Half of the deadline at most goes into waiting for others.
        company_s = min(self._state.limits.batch_wait_s, (expires_s - now_s) / 2)
        request = Request(arrays, shape, Pending(), now_s, now_s + company_s, expires_s)
        with self._turn() as state:
            self._wait_for_room(request, wait)
            state.add(request)
        return request.future

    def close(self, cancel: bool = False) -> None:
        """Take no more work, finish what there is, give the cores back. May be called again.

        With `cancel` only what has begun is finished; what waits is cancelled.
        """
        with self._turn() as state:
            state.closing = True
            dropped = state.cancel_waiting() if cancel else []
        for request in dropped:
            request.future.cancel()
            request.claim()  # tells those who wait for it by concurrent.futures.wait
        with self._lock:
            self._wait_for(lambda: self._state.drained, None)
            self._stopped = True
            self._alarm.notify()
            for core in self._cores:
                core.wake.notify_all()
        self._join()

    def __enter__(self) -> Scheduler:
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.close(cancel=error is not None)

    def _warm_up(self, shapes: Optional[Collection[Shape]], given_up: Callable[[], bool]) -> bool:
        with self._turn() as state:
            self._check_open()
            state.warm_up(shapes)
        with self._lock:
            while not self._wait_for(self._warmed_up, _LOOK_EVERY_S):
                if given_up():
                    self._state.warming.stop()
                    return False
            self._check_open()
            for program, error in self._state.warming.errors.items():
                if not any(core.in_service and core.has(program) for core in self._cores):
                    raise error
        return True

    def _warmed_up(self) -> bool:
        return self._state.warming.done or self._state.closing

    def _wait_for_room(self, request: Request, wait: bool) -> None:
        state, queue = self._state, self._state.queues[request.shape]

        def settled() -> bool:
            return state.closing or state.outage is not None or not queue.full

        if not settled():
            if not wait:
                raise QueueFullError(
                    f"{len(queue)} requests of this shape wait; send it again later"
                )
            # Looks now and then: who cancels a request may be anywhere, and takes no lock to tell.
            while not request.expired(now_s := time.monotonic()):
                if self._wait_for(settled, min(request.expires_s - now_s, _LOOK_EVERY_S)):
                    break
            else:
                raise ExpiredError(
                    f"the queue was full until the deadline; {len(queue)} requests wait"
                )
        self._check_open()

    def _check_open(self) -> None:
        if self._state.closing:
            raise ClosedError("the scheduler is closed and takes no more work")
        if self._state.outage is not None:
            raise OutOfServiceError(str(self._state.outage))

    @contextmanager
    def _turn(self) -> Iterator[Dispatcher]:
        """Change the state; what follows from it is done before the lock is free."""
        with self._lock:
            yield self._state
            for core in self._state.dispatch(time.monotonic()):
                core.wake.notify(1 if core.in_service else self._serving[core])
            if self._callers:
                self._changed.notify_all()
            if self._state.alarm_s < self._sleep.until_s:
                self._alarm.notify()
            answers, self._state.answers = self._state.answers, []
        for answer in answers:
            try:
                answer.give()
            except BaseException:  # such as a callback's sys.exit: the others get theirs
                logger.exception("a future's callback raised")

    def _wait_for(self, condition: Callable[[], bool], timeout_s: Optional[float]) -> bool:
        """Wait, with the lock held, for what another turn brings about."""
        self._callers += 1
        try:
            return self._changed.wait_for(condition, timeout_s)
        finally:
            self._callers -= 1

    def _serve(self, core: Core) -> None:
        """A thread of a core: one job after the other, until the end or the core is given up."""
        while self._serve_one(core):
            pass  # and nothing is kept: an error holds what failed, and so memory of the core
        with self._lock:
            self._serving[core] -= 1
            last = not self._serving[core]
        if last:
            core.close()

    def _serve_one(self, core: Core) -> bool:
        job = self._next_job(core)
        if job is None:
            return False
        outcome = core.perform(job, partial(self._loaded, job), self._reopen)
        with self._turn() as state:
            if job in core.jobs:  # else it was overdue, and has been answered for
                state.finish(core, job, outcome, time.monotonic())
        return True

    def _next_job(self, core: Core) -> Optional[Job]:
        with self._lock:
            job = core.take()
            while job is None and core.in_service and not self._stopped:
                core.wake.wait()
                job = core.take()
            return job

    def _loaded(self, job: Job) -> None:
        with self._turn() as state:
            state.loaded(job, time.monotonic())

    def _watch(self) -> None:
        """The thread that notices what only time brings about."""
        while True:
            with self._lock:
                while not self._stopped and (now_s := self._awake_s()) < self._state.alarm_s:
                    self._alarm.wait(self._sleep.begin(now_s, self._state.alarm_s))
                if self._stopped:
                    return
            with self._turn() as state:
                state.look(self._awake_s())

    def _awake_s(self) -> float:
        now_s = time.monotonic()
        if self._sleep.too_long(now_s):
            self._state.begin_anew(now_s)
        return now_s

    def _join(self) -> None:
        """Wait for the threads that do not hang, so that every answer has been given."""
        until_s = time.monotonic() + _CLOSING_TIMEOUT_S
        threads = [thread for core, thread in self._threads if not core.hung]
        for thread in (*threads, self._watching):
            if thread is not threading.current_thread():
                thread.join(max(0.0, until_s - time.monotonic()))
