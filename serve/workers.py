"""One piece of work per key, in threads: bounded, in order, and no failure stops the others."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Callable, Generic, TypeVar

Key = TypeVar("Key")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Outcome(Generic[Key, Result]):
    """What became of one item: a result, or the exception that stopped it."""

    key: Key
    result: Result | None
    error: Exception | None


def each(
    keys: Iterable[Key], work: Callable[[Key], Result], workers: int
) -> Iterator[Outcome[Key, Result]]:
    """`work` on every key in `workers` threads, the outcomes in the order of the keys.

    One that fails does not stop the others, and at most two per worker are under way or waiting to
    be taken. Closing the iterator drops what has not begun and waits for what has.
    """
    under_way: deque[tuple[Key, Future[Result]]] = deque()
    with ThreadPoolExecutor(workers, "image") as pool:
        try:
            for key in keys:
                under_way.append((key, pool.submit(work, key)))
                if len(under_way) >= 2 * workers:
                    yield _outcome(*under_way.popleft())
            while under_way:
                yield _outcome(*under_way.popleft())
        finally:
            for _, future in under_way:
                future.cancel()


def _outcome(key: Key, future: Future[Result]) -> Outcome[Key, Result]:
    try:
        return Outcome(key, future.result(), None)
    except Exception as error:  # one image must not stop the others
        return Outcome(key, None, error)
