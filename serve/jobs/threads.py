"""Work in threads: some keys at a time, and the next item of an iterator ahead of its use."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any, Callable, Optional, TypeVar, Union

Key = TypeVar("Key")
Done = TypeVar("Done")


def each(
    keys: Iterable[Key],
    work: Callable[[Key], Optional[Done]],
    workers: int,
    stopped: Callable[[], bool] = lambda: False,
) -> Iterator[Done]:
    """Call `work` on every key in `workers` threads; yields results as they come, but no None.

    At most two keys per worker are under way or wait to be yielded, so memory does not grow with
    the number of keys. Once `stopped` is true no further work begins; work that runs is finished
    and yielded. Closing the iterator drops work that has not begun and waits for the rest. Raises
    what `work` raises.
    """

    def begin(key: Key) -> Optional[Done]:
        return None if stopped() else work(key)

    under_way: set[Future[Optional[Done]]] = set()
    left, more = iter(keys), True
    with ThreadPoolExecutor(workers, "image") as pool:
        try:
            while more or under_way:
                while more and len(under_way) < 2 * workers:
                    key = next(left, None)
                    more = key is not None and not stopped()
                    if key is not None and more:
                        under_way.add(pool.submit(begin, key))
                done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
                for future in done:
                    result = future.result()
                    if result is not None:
                        yield result
        finally:
            for future in under_way:
                future.cancel()


def in_order(
    keys: Iterable[Key],
    work: Callable[[Key], Done],
    workers: int,
    stopped: Callable[[], bool] = lambda: False,
) -> Generator[Done, None, None]:
    """As `each`, with the results in the order of the keys."""
    window: deque[Future[Done]] = deque()
    with ThreadPoolExecutor(workers, "frame") as pool:
        try:
            for key in keys:
                if stopped():
                    break
                window.append(pool.submit(work, key))
                while window and (len(window) >= 2 * workers or window[0].done()):
                    yield window.popleft().result()
            while window:
                yield window.popleft().result()
        finally:
            for future in window:
                future.cancel()


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


async def each_async(
    items: Union[Iterable[Key], AsyncIterable[Key]],
) -> AsyncGenerator[Key, None]:
    """The same items; an iterable that is not asynchronous makes each in a thread."""
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
        return
    import asyncio  # takes 15 ms, which no folder job needs

    left, end = iter(items), object()

    def following() -> Any:
        return next(left, end)

    while (item := await asyncio.to_thread(following)) is not end:
        yield item
