"""One process at a time in a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from compile.errors import StoreError
from depth_anything_v2.lock import wait_for_lock


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Wait for, then hold the lock on a folder; it ends with the process.

    Raises StoreError if the file system has no locks.
    """
    handle = os.open(folder, os.O_RDONLY)
    try:
        _lock(handle, folder)
        yield
    finally:
        os.close(handle)


def _lock(handle: int, folder: Path) -> None:
    try:
        wait_for_lock(handle, f"process that uses {folder}")
    except OSError as error:
        raise StoreError(
            f"{folder}: cannot be locked ({error.strerror}); use a folder on another file system"
        ) from error
