"""One process at a time makes a program; the next one finds it in the cache."""

from __future__ import annotations

import fcntl
import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

logger = logging.getLogger(__name__)


@contextmanager
def turn(lock: Path) -> Iterator[None]:
    """Wait for, then hold the lock on a file, which is made and stays; it ends with the process.

    Where no file can be locked, nobody waits.
    """
    with ExitStack() as stack:
        with suppress(OSError):  # a file system without locks, or one that can only be read
            lock.parent.mkdir(parents=True, exist_ok=True)
            _wait(stack.enter_context(lock.open("a")).fileno(), lock)
        yield


def _wait(handle: int, lock: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        logger.warning("waiting for another process that compiles the same program: %s", lock)
        fcntl.flock(handle, fcntl.LOCK_EX)
