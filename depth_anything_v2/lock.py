"""One process at a time: a lock on an open file or folder, which ends with the process."""

from __future__ import annotations

import fcntl
import logging

logger = logging.getLogger(__name__)


def wait_for_lock(handle: int, busy: str) -> None:
    """Wait for the lock; if another process has it, a line says "waiting for another `busy`".

    Raises OSError where the file system has no locks.
    """
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        logger.warning("waiting for another %s", busy)
        fcntl.flock(handle, fcntl.LOCK_EX)
