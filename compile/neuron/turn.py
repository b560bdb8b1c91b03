"""One process at a time makes a program; the next one finds it in the cache."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from depth_anything_v2.lock import wait_for_lock


@contextmanager
def turn(lock: Path) -> Iterator[None]:
    """Wait for, then hold the lock on a file, which is made and stays; it ends with the process.

    Where no file can be locked, nobody waits.
    """
    with ExitStack() as stack:
        with suppress(OSError):  # a file system without locks, or one that can only be read
            lock.parent.mkdir(parents=True, exist_ok=True)
            handle = stack.enter_context(lock.open("a")).fileno()
            wait_for_lock(handle, f"process that compiles the same program: {lock}")
        yield
