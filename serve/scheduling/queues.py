"""The requests that wait: one bounded queue for each shape, oldest first, cut into batches.

Each caller gets the answer of its request exactly once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import islice
from typing import Optional

from depth.artifact.program import ProgramKey, Shape
from serve.arrays import Arrays
from serve.errors import ExpiredError


class Pending(Future[Arrays]):
    """Outputs by name to come; once the outputs are there, also how long they took."""

    waited_s = 0.0  # in the queue, for a program to load, and in tries that failed
    ran_s = 0.0  # in the run that gave the outputs, together with the rest of its batch


@dataclass(eq=False)
class Request:
    """Arrays for a program of a shape. Times are those of time.monotonic()."""

    arrays: Arrays  # without the batch axis
    shape: Shape
    future: Pending
    arrived_s: float
    due_s: float  # until then the request may wait for others, to share a batch
    expires_s: float  # the request must start before this time, or it expires
    excluded: frozenset[int] = frozenset()  # cores that failed the request
    failures: int = 0
    hangs: int = 0
    alone: bool = False  # runs in no batch: a request of its last batch was at fault
    claimed: bool = False
    outputs: Optional[Arrays] = None  # of a request that was answered, without the batch axis
    error: Optional[Exception] = None  # of a request that failed, expired or lost its last core

    def claim(self) -> bool:
        """False if the caller has cancelled the request; a claimed request cannot be cancelled."""
        if not self.claimed:
            self.claimed = self.future.set_running_or_notify_cancel()
        return self.claimed

    def cancelled(self) -> bool:
        """True if the caller has cancelled the request: drop it, and do not ask again."""
        return not self.claimed and self.future.cancelled() and not self.claim()

    def expire(self, now_s: float) -> None:
        """Set the error of a request whose deadline passed before a core was free."""
        reason = "the cores are busy; send less, or allow more time"
        if self.failures:
            cores = ", ".join(f"core {index}" for index in sorted(self.excluded)) or "a core"
            reason = f"{cores} failed it, and it is not tried again; allow more time"
        waited_s, deadline_s = now_s - self.arrived_s, self.expires_s - self.arrived_s
        self.error = ExpiredError(
            f"waited {waited_s:.3f} s, its deadline was {deadline_s:.3f} s: {reason}"
        )

    def answer(self) -> None:
        """Pass outputs or error to the caller. Hold no lock: the caller's callbacks run now."""
        if self.error is not None:
            self.future.set_exception(self.error)
        elif self.outputs is not None:
            self.future.set_result(self.outputs)


def batch_size(waiting: int, batches: Sequence[int], due: bool) -> Optional[int]:
    """The batch size to run for `waiting` requests; None to wait for more.

    `batches` are those of the shape's programs, ascending. Once requests are due, the smallest
    batch that holds them all runs if at least half of it is used; a padded place costs as much as a
    used one.
    """
    if waiting >= batches[-1]:
        return batches[-1]
    if not due:
        return None
    holds_all = min(batch for batch in batches if batch >= waiting)
    full = [batch for batch in batches if batch <= waiting]
    return full[-1] if full and 2 * waiting < holds_all else holds_all


@dataclass(frozen=True)
class Batch:
    """Requests that can run together, still in their queue."""

    program: ProgramKey
    requests: list[Request]
    start: int  # place of the first request in the queue
    waiting: int  # requests from there to the end of the queue


class Queue:
    """Requests of one shape. A requeued request goes to the front, even of a full queue."""

    def __init__(self, capacity: int) -> None:
        self.programs: dict[int, ProgramKey] = {}  # of the shape, by batch size, ascending
        self.requests: deque[Request] = deque()
        self._capacity = capacity
        self._some_cancelled = False  # so that `full` seldom goes through all requests

    @property
    def largest(self) -> ProgramKey:
        """The program with the largest batch."""
        return self.programs[max(self.programs)]

    @property
    def full(self) -> bool:
        if len(self.requests) >= self._capacity and self._some_cancelled:
            self._some_cancelled = False
            self.requests = deque(r for r in self.requests if not r.cancelled())
        return len(self.requests) >= self._capacity

    def offer(self, program: ProgramKey) -> None:
        self.programs[program.batch] = program
        self.programs = dict(sorted(self.programs.items()))

    def append(self, request: Request) -> bool:
        """Queue a request; False if there is no room."""
        if self.full:
            return False
        self.requests.append(request)
        request.future.add_done_callback(self._note)
        return True

    def requeue(self, requests: Sequence[Request]) -> None:
        self.requests.extendleft(reversed(requests))

    def ready(self, now_s: float, closing: bool) -> list[Batch]:
        """The batches that may run now. `closing`: no batch waits to become larger.

        A batch may start at the head of the queue, and at each later request that excludes other
        cores. Stops at the first request that excludes none: if that one cannot run, nothing
        behind it can.
        """
        found, seen = [], set()
        for start, request in enumerate(self.requests):
            if request.excluded not in seen:
                together = self._together(start)
                # A later request may have less time than the first.
                due = closing or request.alone or any(r.due_s <= now_s for r in together)
                size = batch_size(len(together), list(self.programs), due)
                if size is not None:
                    waiting = len(self.requests) - start
                    found.append(Batch(self.programs[size], together[:size], start, waiting))
            if not request.excluded:
                break
            seen.add(request.excluded)
        return found

    def full_batch(self) -> Optional[Batch]:
        """The largest batch, from the head of the queue; None if it is not full."""
        together, program = self._together(0), self.largest
        full = len(together) == program.batch
        return Batch(program, together, 0, len(self.requests)) if full else None

    def take(self, batch: Batch, now_s: float) -> tuple[list[Request], list[Request]]:
        """Remove the requests of a batch. Returns those to run, and those that have expired.

        Cancelled requests are dropped.
        """
        self.requests.rotate(-batch.start)
        for _ in batch.requests:
            self.requests.popleft()
        self.requests.rotate(batch.start)
        live = [request for request in batch.requests if request.claim()]
        return [r for r in live if now_s < r.expires_s], _expired(live, now_s)

    def drain(self) -> list[Request]:
        """Remove all requests."""
        drained = list(self.requests)
        self.requests.clear()
        return drained

    def expire(self, now_s: float) -> list[Request]:
        """Remove the requests whose deadline has passed. Returns those that were not cancelled."""
        late = [request for request in self.requests if now_s >= request.expires_s]
        for request in late:
            self.requests.remove(request)
        return _expired([request for request in late if request.claim()], now_s)

    def next_moment_s(self, now_s: float) -> float:
        """When the next request expires, or becomes due if it is not due yet."""
        moments = [request.expires_s for request in self.requests]
        moments += [request.due_s for request in self.requests if request.due_s > now_s]
        return min(moments)

    def _together(self, start: int) -> list[Request]:
        """Requests from there on that can share a run, as many as the largest batch takes."""
        first, limit = self.requests[start], max(self.programs)
        if first.alone:
            return [first]
        together: list[Request] = []
        for request in islice(self.requests, start, None):
            if len(together) == limit or request.alone or request.excluded != first.excluded:
                break
            together.append(request)
        return together

    def _note(self, future: Future[Arrays]) -> None:
        """Called in any thread, without the lock."""
        if future.cancelled():
            self._some_cancelled = True


def _expired(requests: Sequence[Request], now_s: float) -> list[Request]:
    """Those whose deadline has passed; each gets its error."""
    expired = [request for request in requests if now_s >= request.expires_s]
    for request in expired:
        request.expire(now_s)
    return expired
