"""The requests that wait: one bounded queue for each shape, oldest first."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from itertools import islice

from depth.artifact.program import ProgramKey
from serve.arrays import Arrays
from serve.scheduling.request import Request


class Queue:
    """Requests of one shape. A request that is tried again goes to the front, bound or not."""

    def __init__(self, capacity: int) -> None:
        self.batches: list[int] = []  # of the shape's programs, ascending
        self._capacity = capacity
        self._requests: deque[Request] = deque()
        self._some_cancelled = False  # so that not every look goes through all of them

    def __len__(self) -> int:
        return len(self._requests)

    def __iter__(self) -> Iterator[Request]:
        return iter(self._requests)

    def __getitem__(self, place: int) -> Request:
        return self._requests[place]

    @property
    def head(self) -> Request:
        return self._requests[0]

    @property
    def largest(self) -> ProgramKey:
        """The program that takes most of them at once."""
        return self.head.shape.batch_of(self.batches[-1])

    @property
    def full(self) -> bool:
        if len(self._requests) >= self._capacity and self._some_cancelled:
            self._some_cancelled = False
            self._keep([r for r in self._requests if not r.given_up()])
        return len(self._requests) >= self._capacity

    def append(self, request: Request) -> None:
        self._requests.append(request)
        request.future.add_done_callback(self._note)

    def put_back(self, requests: Iterable[Request]) -> None:
        self._requests.extendleft(reversed(list(requests)))

    def starts(self) -> Iterator[int]:
        """The places from which a run may be taken: the head, and behind it who avoids other cores.

        None behind one that avoids no core: where that cannot run, neither can they.
        """
        seen = set()
        for place, request in enumerate(self._requests):
            if request.avoid not in seen:
                yield place
            if not request.avoid:
                return
            seen.add(request.avoid)

    def together(self, limit: int, start: int = 0) -> int:
        """How many from there on may share a run: at most `limit`, none that has to be alone."""
        first = self._requests[start]
        if first.alone:
            return 1
        count = 0
        for request in islice(self._requests, start, None):
            if count == limit or request.alone or request.avoid != first.avoid:
                break
            count += 1
        return count

    def take(self, count: int, start: int = 0) -> list[Request]:
        """Remove this many from there on."""
        count = min(count, len(self._requests) - start)
        self._requests.rotate(-start)
        taken = [self._requests.popleft() for _ in range(count)]
        self._requests.rotate(start)
        return taken

    def take_expired(self, now_s: float) -> list[Request]:
        expired = [request for request in self._requests if request.expired(now_s)]
        if expired:
            self._keep([r for r in self._requests if not r.expired(now_s)])
        return expired

    def next_moment_s(self, now_s: float) -> float:
        """When the next request is due, of those that are not yet, or expires.

        Of all: those in front may be handed over before anybody asks again.
        """
        moments = [request.expires_s for request in self._requests]
        moments += [request.due_s for request in self._requests if request.due_s > now_s]
        return min(moments, default=math.inf)

    def _note(self, future: Future[Arrays]) -> None:
        """Called in any thread, without the lock."""
        if future.cancelled():
            self._some_cancelled = True

    def _keep(self, requests: Iterable[Request]) -> None:
        self._requests = deque(requests)
