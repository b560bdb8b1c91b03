"""One piece of work per key, in threads: bounded, and no failure stops the others."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
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


class _NotBegun(Exception):
    """The item's turn came after the stop."""


def each(
    keys: Iterable[Key],
    work: Callable[[Key], Result],
    workers: int,
    stopped: Callable[[], bool] = lambda: False,
) -> Iterator[Outcome[Key, Result]]:
    """`work` on every key in `workers` threads, the outcomes as they come.

    One that fails does not stop the others. At most two per worker are under way or waiting to be
    taken, and keys are taken only as there is room: memory does not grow with their number. Once
    `stopped` is true nothing more begins; what runs is finished, and its outcomes still come.
    Closing the iterator drops what has not begun and waits for what has.
    """
    under_way: dict[Future[Result], Key] = {}

    def begin(key: Key) -> Result:
        if stopped():
            raise _NotBegun
        return work(key)

    with ThreadPoolExecutor(workers, "image") as pool:
        try:
            for key in keys:
                if stopped():
                    break
                under_way[pool.submit(begin, key)] = key
                if len(under_way) >= 2 * workers:
                    yield from _finished(under_way)
            while under_way:
                yield from _finished(under_way)
        finally:
            for future in under_way:
                future.cancel()


def _finished(under_way: dict[Future[Result], Key]) -> Iterator[Outcome[Key, Result]]:
    """Waits for one at least; what is given is no longer under way."""
    done = wait(under_way, return_when=FIRST_COMPLETED).done
    for future in [future for future in under_way if future in done]:
        key = under_way.pop(future)
        try:
            yield Outcome(key, future.result(), None)
        except _NotBegun:
            continue
        except Exception as error:  # one image must not stop the others
            yield Outcome(key, None, error)


def ahead(items: Iterator[Key]) -> Generator[Key, None, None]:
    """The same items, each made in a thread while the one before it is in use.

    What making an item raises comes when the item is asked for. Closing waits for the thread.
    """
    with ThreadPoolExecutor(1, "ahead") as pool:
        following = pool.submit(next, items, None)
        while True:
            item = following.result()
            if item is None:
                return
            following = pool.submit(next, items, None)
            yield item
