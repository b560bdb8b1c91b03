"""Rows of a cluster's work until they end, or until the time of a stop is over."""

from __future__ import annotations

import logging
import time
from collections.abc import Generator, Iterable
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import Callable, Optional, TypeVar, Union

from serve.jobs.stop import Stop

logger = logging.getLogger(__name__)

Row = TypeVar("Row")
_LOOK_S = 0.2  # between looks at the stop


def drained(
    rows: Iterable[Row], stop: Stop, tell: Callable[[str], None], limit_s: float
) -> Generator[Row, None, None]:
    """The rows as they come. Raises what `rows` raises.

    tell     gets the reason of a stop once: whoever makes the rows begins no further image then
    limit_s  seconds after a stop in which rows still come; the others are left
    """
    coming: SimpleQueue[Union[Row, _End]] = SimpleQueue()
    over = Event()
    arguments = (rows, coming, over)
    Thread(target=_fetch, args=arguments, name="rows", daemon=True).start()
    end_s: Optional[float] = None
    try:
        while True:
            if end_s is None and stop.requested():
                tell(stop.reason)
                end_s = time.monotonic() + limit_s
            if end_s is not None and time.monotonic() > end_s:
                logger.warning("images were still under way %g s after the stop", limit_s)
                return
            try:
                row = coming.get(timeout=_LOOK_S)
            except Empty:
                continue
            if isinstance(row, _End):
                if row.error is not None:
                    raise row.error
                return
            yield row
    finally:
        over.set()


class _End:
    """No further row comes, or an error ended them."""

    def __init__(self, error: Optional[BaseException] = None) -> None:
        self.error = error


def _fetch(rows: Iterable[Row], coming: SimpleQueue[Union[Row, _End]], over: Event) -> None:
    try:
        for row in rows:
            if over.is_set():
                return
            coming.put(row)
    except BaseException as error:  # the caller raises it
        coming.put(_End(error))
    else:
        coming.put(_End())
