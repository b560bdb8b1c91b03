"""The requests that wait: one bounded queue for each shape, oldest first, cut into batches."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import islice
from typing import Optional

from depth.artifact.program import ProgramKey
from serve.arrays import Arrays
from serve.scheduling.request import Request


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

    def append(self, request: Request) -> None:
        self.requests.append(request)
        request.future.add_done_callback(self._note)

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

    def take(self, batch: Batch) -> list[Request]:
        """Remove the requests of a batch."""
        self.requests.rotate(-batch.start)
        for _ in batch.requests:
            self.requests.popleft()
        self.requests.rotate(batch.start)
        return batch.requests

    def drain(self) -> list[Request]:
        """Remove all requests."""
        drained = list(self.requests)
        self.requests.clear()
        return drained

    def expire(self, now_s: float) -> list[Request]:
        """Remove the requests whose deadline has passed."""
        expired = [request for request in self.requests if request.expired(now_s)]
        for request in expired:
            self.requests.remove(request)
        return expired

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
