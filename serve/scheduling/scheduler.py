"""Requests of many callers on the cores of one process: queued, batched, retried, answered once.

    caller ─ submit ─▶ queue per shape ─ dispatch ─▶ core's threads ─ worker ─▶ future

One thread for each run that a core may have at once, and one that sleeps until a deadline passes or
a core is overdue. They change the dispatcher in turns: under the lock, with the answers after it.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Collection, Iterable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Callable, Optional

from depth.artifact.program import ProgramKey, Shape
from depth.errors import InputError
from serve.arrays import Arrays
from serve.errors import ExpiredError, NoProgramError, QueueFullError
from serve.scheduling.core import CoreState, CoreThread, Run, Snapshot
from serve.scheduling.dispatcher import Dispatcher, Event, Result
from serve.scheduling.placement import has
from serve.scheduling.queues import Pending, Request
from serve.scheduling.worker import Limits, Reopen, Worker

logger = logging.getLogger(__name__)

DEFAULT_LIMITS = Limits()
TICK_S = 1.0  # the longest sleep, so that a pause shows in which nothing was to be done
_PAUSE_S = 1.0  # a sleep so much longer than planned: Ctrl-Z or `docker pause` stopped the process
_LOOK_EVERY_S = 0.1  # whether a caller gave up warming up, or cancelled a request
_CLOSING_TIMEOUT_S = 10.0  # for giving back a core; a slower core is left to itself


class Scheduler(AbstractContextManager["Scheduler"]):
    """Runs requests on several cores. Safe in any thread; a context manager that drains.

    workers   one for each core, opened
    programs  what each worker can load
    reopen    makes a new worker for a core whose old one has to be recycled; without it such a core
              goes out of service
    shared    loading a program on one core loads it on all

    A request is answered with its outputs, ExpiredError, OutOfServiceError, ClosedError, or
    ProgramError, after as many tries as its `action` allows. Callbacks of futures run in a core's
    thread: they must be short and must not wait for this scheduler. Raises InputError if there is
    no worker.
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
        self._wakes_s = math.inf  # when the thread that watches the time wants to wake
        self._stopped = False
        reopens = reopen is not None
        self._dispatcher = Dispatcher(len(workers), programs, limits, reopens, shared)
        self._cores = self._dispatcher.cores
        doors = reopen, self._loaded, self._evict
        self._core_threads = [
            CoreThread(core, worker, threading.Condition(self._lock), limits.runs_per_core, *doors)
            for core, worker in zip(self._cores, workers)
        ]
        # Daemons, so that a core that hangs for good does not keep the process from ending.
        self._threads = [
            (each.core, threading.Thread(target=self._serve, args=(each,), name=each.name))
            for each in self._core_threads
            for _ in range(limits.runs_per_core)
        ]
        self._watching = threading.Thread(target=self._watch, name="scheduler")
        for thread in (*(thread for _, thread in self._threads), self._watching):
            thread.daemon = True
            thread.start()

    @property
    def shapes(self) -> list[Shape]:
        """The shapes that have a program."""
        return list(self._dispatcher.queues)

    def snapshot(self) -> Snapshot:
        with self._lock:
            return self._dispatcher.snapshot()

    def offer(self, programs: Iterable[ProgramKey]) -> None:
        """Take requests for these programs too; every worker must be able to load them."""
        self._turn(lambda _now_s: self._dispatcher.offer(programs))

    def warm_up(
        self,
        shapes: Optional[Collection[Shape]] = None,
        given_up: Callable[[], bool] = lambda: False,
    ) -> bool:
        """Load the programs of these shapes, or all, on all cores, as far as memory goes.

        A load that fails is retried like a request. Returns False if `given_up` stopped the
        loading. Raises ClosedError, OutOfServiceError if no core is left, or the error of a program
        that loads on no core. Of several calls at once, one comes after the other.
        """
        while not self._warming.acquire(timeout=_LOOK_EVERY_S):
            if given_up():
                return False
        try:
            dispatcher = self._dispatcher
            self._turn(lambda _now_s: dispatcher.warm_up(shapes))
            with self._lock:
                while not self._wait_for(self._warmed_up, _LOOK_EVERY_S):
                    if given_up():
                        dispatcher.warming.stop()
                        return False
                dispatcher.check_open()
                for program, error in dispatcher.warming.errors.items():
                    if not any(core.in_service and has(core, program) for core in self._cores):
                        raise error
        finally:
            self._warming.release()
        return True

    def submit(
        self,
        arrays: Arrays,
        shape: Shape,
        deadline_s: Optional[float] = None,
        wait: bool = True,
    ) -> Pending:
        """A program's inputs by name -> the future of its outputs by name, all without batch axis.

        arrays      must not change until the answer is there
        shape       one of `shapes`
        deadline_s  a request that has not started by then, or fails later, gets ExpiredError
        wait        block while the queue is full; False raises QueueFullError instead

        `Future.cancel` works until a core has the request. Arrays of an answer are views of the
        batch that they ran in. Raises NoProgramError, InputError, QueueFullError, ExpiredError,
        ClosedError or OutOfServiceError.
        """
        if shape not in self._dispatcher.queues:
            have = ", ".join(known.name for known in self._dispatcher.queues)
            raise NoProgramError(f"no program for {shape.name} px; there are {have}")
        if not arrays:
            raise InputError("a request without arrays: expected the program's inputs by name")
        if deadline_s is not None and not deadline_s > 0:
            raise InputError(f"deadline of {deadline_s} s: must be above 0")
        now_s = time.monotonic()
        left_s = math.inf if deadline_s is None else deadline_s
        # The wait for a larger batch takes half of the deadline at most.
        due_s = now_s + min(self._dispatcher.limits.batch_wait_s, left_s / 2)
        request = Request(arrays, shape, Pending(), now_s, due_s, now_s + left_s)
        while not self._turn(partial(self._dispatcher.schedule, request)):
            self._wait_for_room(request, wait)
        return request.future

    def close(self, cancel: bool = False) -> None:
        """Take no more work, finish what there is, give the cores back. May be called again.

        With `cancel`, finish only the runs that have begun, and cancel what waits.
        """
        for request in self._turn(lambda _now_s: self._dispatcher.close(cancel)):
            request.future.cancel()
            request.claim()  # wakes the callers of concurrent.futures.wait
        with self._lock:
            self._wait_for(lambda: self._dispatcher.drained, None)
            self._stopped = True
            self._alarm.notify()
            for each in self._core_threads:
                each.wake.notify_all()
        until_s = time.monotonic() + _CLOSING_TIMEOUT_S
        threads = [thread for core, thread in self._threads if not core.hung]
        for thread in (*threads, self._watching):  # so that every answer has been given
            if thread is not threading.current_thread():
                thread.join(max(0.0, until_s - time.monotonic()))

    def __exit__(self, *raised: object) -> None:
        self.close(cancel=raised[0] is not None)

    def _warmed_up(self) -> bool:
        return self._dispatcher.warming.done or self._dispatcher.closing

    def _wait_for_room(self, request: Request, wait: bool) -> None:
        dispatcher, queue = self._dispatcher, self._dispatcher.queues[request.shape]

        def settled() -> bool:
            return dispatcher.closing or dispatcher.outage is not None or not queue.full

        with self._lock:
            waiting, left_s = len(queue.requests), request.expires_s - time.monotonic()
            if not wait:
                raise QueueFullError(f"{waiting} requests of this shape wait; send it again later")
            if left_s <= 0:
                raise ExpiredError(
                    f"the queue was full until the deadline; {waiting} requests wait"
                )
            # Looks now and then: a request may be cancelled in any thread, and no lock tells of it.
            self._wait_for(settled, min(left_s, _LOOK_EVERY_S))

    def _turn(self, event: Event[Result]) -> Result:
        """Let the dispatcher handle an event; what follows is done before the lock is free."""
        dispatcher = self._dispatcher
        with self._lock:
            result, changed = dispatcher.turn(event, time.monotonic())
            for core in changed:
                each = self._core_threads[core.index]
                each.wake.notify(1 if core.in_service else each.threads)
            if self._callers:
                self._changed.notify_all()
            if dispatcher.alarm_s < self._wakes_s:
                self._alarm.notify()
            answered, dispatcher.answered = dispatcher.answered, []
        for request in answered:
            try:
                request.answer()
            except BaseException:  # such as a callback's sys.exit: the others get their answers
                logger.exception("a future's callback raised")
        return result

    def _wait_for(self, condition: Callable[[], bool], timeout_s: Optional[float]) -> bool:
        """Wait, with the lock held, for what another turn brings about."""
        self._callers += 1
        try:
            return self._changed.wait_for(condition, timeout_s)
        finally:
            self._callers -= 1

    def _serve(self, each: CoreThread) -> None:
        """A thread of a core: one run after the other, until the end or the core is given up."""
        while True:
            with self._lock:
                run = each.core.start_next()
                while run is None and each.core.in_service and not self._stopped:
                    each.wake.wait()
                    run = each.core.start_next()
            if run is None:
                break
            self._turn(partial(self._dispatcher.finish, run, each.perform(run)))
            del run  # nothing is kept: an error holds what failed, and so memory of the core
        with self._lock:
            each.threads -= 1
            last = not each.threads
        if last:
            each.close()

    def _loaded(self, run: Run, load_s: float) -> None:
        self._turn(partial(self._dispatcher.loaded, run, load_s))

    def _evict(self, core: CoreState, program: ProgramKey) -> Optional[ProgramKey]:
        with self._lock:
            return core.evict(program)

    def _watch(self) -> None:
        """The thread that notices what only time brings about."""
        while True:
            with self._lock:
                while not self._stopped and (now_s := self._awake_s()) < self._dispatcher.alarm_s:
                    self._alarm.wait(self._sleep_s(now_s))
                if self._stopped:
                    return
            self._turn(lambda _now_s: self._dispatcher.expire(self._awake_s()))

    def _sleep_s(self, now_s: float) -> float:
        self._wakes_s = min(self._dispatcher.alarm_s, now_s + TICK_S)
        return max(0.0, self._wakes_s - now_s)

    def _awake_s(self) -> float:
        """The time after a sleep. After a pause of the process, all time-outs start again."""
        now_s = time.monotonic()
        if now_s - self._wakes_s > _PAUSE_S:
            self._dispatcher.restart_timeouts(now_s)
        self._wakes_s = now_s
        return now_s
