"""Files: hashed, written whole, and locked so that one process at a time works in a place."""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Union

from depth.errors import StoreError

logger = logging.getLogger(__name__)

_CHUNK_BYTES = 1 << 20


def sha256_file(path: Path) -> str:
    """Hex SHA-256 of a file's bytes, read in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for chunk in iter(lambda: file.read(_CHUNK_BYTES), b""):
            digest.update(chunk)
    return digest.hexdigest()


def sha256_bytes(data: Union[bytes, memoryview]) -> str:
    """Hex SHA-256 of bytes."""
    return hashlib.sha256(data).hexdigest()


def write_whole(path: Path, text: str) -> None:
    """All of a text file or nothing, through a temporary sibling. Raises OSError.

    Characters that UTF-8 cannot encode, as in some paths, are written with backslashes.
    """
    part = path.with_name(f"{path.name}.part")
    part.write_text(text, encoding="utf-8", errors="backslashreplace")
    part.replace(path)


def lock_now(handle: int) -> None:
    """Lock an open file or folder until it is closed or the process ends.

    Raises BlockingIOError if another process has it, OSError where the file system has no locks.
    """
    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def wait_for_lock(handle: int, busy: str) -> None:
    """Wait for the lock; if another process has it, a line says "waiting for another `busy`".

    Raises OSError where the file system has no locks.
    """
    try:
        lock_now(handle)
    except BlockingIOError:
        logger.warning("waiting for another %s", busy)
        fcntl.flock(handle, fcntl.LOCK_EX)


@contextmanager
def locked(folder: Path, always: bool = True) -> Iterator[None]:
    """Wait for, then hold the lock on a folder; it ends with the process.

    Where the file system has no locks: raises StoreError, or only logs it if not `always`. Raises
    OSError for a folder that cannot be opened.
    """
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            wait_for_lock(handle, f"process that uses {folder}")
        except OSError as error:
            problem = f"{folder}: cannot be locked ({error.strerror})"
            if always:
                raise StoreError(f"{problem}; use a folder on another file system") from error
            logger.warning("%s: run one process at a time", problem)
        yield
    finally:
        os.close(handle)


@contextmanager
def turn(lock: Path) -> Iterator[None]:
    """Wait for, then hold the lock on a file, which is made and stays; it ends with the process.

    Without file locks it does not wait.
    """
    with ExitStack() as stack:
        with suppress(OSError):  # a file system without locks, or read-only
            lock.parent.mkdir(parents=True, exist_ok=True)
            handle = stack.enter_context(lock.open("a")).fileno()
            wait_for_lock(handle, f"process that compiles the same program: {lock}")
        yield
