"""One piece of work per key, in threads: bounded, and a failure stops no other work."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Callable, Generic, TypeVar

Key = TypeVar("Key")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Outcome(Generic[Key, Result]):
    """The result of the work on a key, or its exception."""

    key: Key
    result: Result | None
    error: Exception | None


class _NotBegun(Exception):
    """The stop came before the work on this key."""


def each(
    keys: Iterable[Key],
    work: Callable[[Key], Result],
    workers: int,
    stopped: Callable[[], bool] = lambda: False,
) -> Iterator[Outcome[Key, Result]]:
    """Call `work` on every key in `workers` threads; yields outcomes as they come.

    At most two keys per worker are under way or wait to be yielded, so memory does not grow with
    the number of keys. Once `stopped` is true no further work begins; work that runs is finished
    and yielded. Closing the iterator drops work that has not begun and waits for the rest.
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
    """Wait for at least one outcome, and take all that there are out of `under_way`."""
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
    """The same items; a thread makes the next item while the caller uses this one.

    An exception of the thread is raised in place of its item. Closing waits for the thread.
    """
    with ThreadPoolExecutor(1, "ahead") as pool:
        following = pool.submit(next, items, None)
        while True:
            item = following.result()
            if item is None:
                return
            following = pool.submit(next, items, None)
            yield item
