"""Results in shared memory: files in /dev/shm that a client maps and removes.

Each worker has a folder of its own there, which only its user may enter, and holds a lock on it.
The lock ends with the process, even after SIGKILL. So the next worker knows a dead worker's folder
by its free lock, and removes it.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import stat
import tempfile
from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from threading import Lock
from typing import Optional

from depth.errors import DepthFileError
from depth.files import NO_LINK, is_full, lock_now
from serve.errors import QueueFullError

MAX_BYTES = 2_000_000_000  # that may lie there unfetched, of all clients of a worker

_MEMORY = Path("/dev/shm")
_NAME = re.compile(r"depth-sidecar-[0-9a-f]{16}")
_TRIES = 10


class SharedFiles(AbstractContextManager["SharedFiles"]):
    """Files of one worker. Safe in any thread; a context manager that removes what is left.

    place      the folder that the worker's own is made in: /dev/shm, or else the temporary folder
    max_bytes  that may lie there at once
    """

    def __init__(self, place: Optional[Path] = None, max_bytes: int = MAX_BYTES) -> None:
        usable = _MEMORY.is_dir() and os.access(_MEMORY, os.W_OK | os.X_OK)
        self._place = place or (_MEMORY if usable else Path(tempfile.gettempdir()))
        self._max_bytes = max_bytes
        self._lock = Lock()
        self._sizes: dict[Path, int] = {}
        remove_left_over(self._place)
        self.folder, self._held = _own_folder(self._place)

    def write(self, parts: Sequence[memoryview]) -> Path:
        """A new file with these bytes. The client removes it.

        Raises QueueFullError while clients left too much there, DepthFileError if memory refuses.
        """
        path = self.folder / f"{secrets.token_hex(8)}.f32"
        size_bytes = sum(part.nbytes for part in parts)
        with self._lock:
            self._sizes = {each: size for each, size in self._sizes.items() if each.exists()}
            held = sum(self._sizes.values())
            if held + size_bytes > self._max_bytes:
                raise QueueFullError(
                    f"{self.folder}: {held} bytes were not fetched yet, {size_bytes} more are over "
                    f"the limit of {self._max_bytes}: map the files and remove them"
                )
            path.touch(mode=0o600, exist_ok=False)
            self._sizes[path] = size_bytes
        try:
            with path.open("r+b", buffering=0) as file:
                for part in parts:
                    while part.nbytes:
                        part = part[file.write(part) :]
        except OSError as error:
            self.remove([path])
            advice = ": free some, or ask for raw" if is_full(error) else ""
            raise DepthFileError(f"{path}: {error.strerror}{advice}") from error
        return path

    def remove(self, paths: Sequence[Path]) -> None:
        """Remove files that no client will fetch; those that are gone are no error."""
        for path in paths:
            with suppress(OSError):
                path.unlink()
            with self._lock:
                self._sizes.pop(path, None)

    def __exit__(self, *_raised: object) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        os.close(self._held)


def remove_left_over(place: Path) -> None:
    """Remove the folders of this user's dead workers. What is locked, or no such folder, stays."""
    for folder in place.glob("depth-sidecar-*"):
        if not _NAME.fullmatch(folder.name):
            continue
        with suppress(OSError):
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | NO_LINK)
            try:
                if os.fstat(handle).st_uid == os.getuid():
                    lock_now(handle)
                    shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(handle)


def _own_folder(place: Path) -> tuple[Path, int]:
    """A new folder, and the open handle that holds its lock."""
    for _ in range(_TRIES):
        folder = place / f"depth-sidecar-{secrets.token_hex(8)}"
        folder.mkdir(mode=0o700)
        with suppress(OSError):  # a worker that starts took it for a dead one's
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | NO_LINK)
            try:
                lock_now(handle)
                if os.path.samestat(os.fstat(handle), folder.lstat()):
                    return folder, handle
            except OSError:
                os.close(handle)
                raise
    raise DepthFileError(f"{place}: no folder of its own can be made and locked there")


def check_private(folder: Path) -> None:
    """Make a folder that only this user may enter, or check that it is so.

    Raises DepthFileError for a folder of another user, or that others may enter.
    """
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700, parents=True)
    found = folder.stat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise DepthFileError(
            f"{folder}: expected a folder of your own that nobody else may enter: "
            f"`chmod 700 {folder}`, or name another"
        )
