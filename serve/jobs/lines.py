"""The log of a job: JSON lines in a file, appended whole, and read again by their places.

Lines are forced onto the disk every `_SYNC_LINES` lines or `_SYNC_S` seconds and at the end. A
killed process can leave a torn last line: readers ignore that line, and the next writer cuts it.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from typing import Any, Callable, Optional

from depth.artifact.strict_json import parse_object
from depth.files import NO_LINK, localised, lock_now, make_folders, open_regular, sync_folder
from serve.errors import ManifestError

logger = logging.getLogger(__name__)

Place = tuple[int, int]  # of a line: offset and length in bytes
Take = Callable[[Place, dict[str, Any]], bool]  # gets a line, and says whether it is of use

_SYNC_LINES, _SYNC_S = 100, 1.0
_MAX_LINE_BYTES = 1 << 20


class Lines:
    """The lines of a format in an open file, or no lines. Safe in any thread; `read` comes first.

    number  of the format
    """

    def __init__(
        self, path: Path, number: int, descriptor: Optional[int], writable: bool = False
    ) -> None:
        self.path = path
        self._number = number
        self._descriptor = descriptor
        self._writable = writable
        self._adding = RLock()
        self._end = 0  # of the last whole line
        self._unsafe = 0  # lines that may not be on the disk yet
        self._synced_s = time.monotonic()

    def read(self, take: Take) -> None:
        """Give every line to `take`, {} for a line of another format; then cut a torn last line.

        Raises ManifestError for a file that is no log, or that cannot be read.
        """
        if self._descriptor is None:
            return
        ignored = 0
        with _explained(self.path), os.fdopen(self._descriptor, "rb", closefd=False) as file:
            for line in iter(lambda: file.readline(_MAX_LINE_BYTES), b""):
                if not line.endswith(b"\n"):
                    self._check_torn(line)
                    break
                ignored += not take((self._end, len(line)), self._content(line))
                self._end += len(line)
        if ignored:
            logger.warning(
                "%s: ignored %d lines that are not format %d", self.path, ignored, self._number
            )
        if self._writable:
            with _explained(self.path):
                os.ftruncate(self._descriptor, self._end)
                sync_folder(self.path.parent)

    def at(self, place: Place) -> dict[str, Any]:
        """The content of a line. Raises OSError and ValueError."""
        if self._descriptor is None:
            raise ValueError("no lines")
        offset, length = place
        found: dict[str, Any] = localised(parse_object(os.pread(self._descriptor, length, offset)))
        return found

    def add(self, content: Mapping[str, Any]) -> Place:
        """Add a line. Raises ManifestError if the disk refuses, or without a file."""
        if self._descriptor is None:
            raise ManifestError(f"{self.path}: there is no such file to add to")
        line = json.dumps({"format": self._number, **content}).encode() + b"\n"
        with self._adding:
            start = self._end
            with _explained(self.path):
                written = os.pwrite(self._descriptor, line, start)
            if written != len(line):
                raise ManifestError(f"{self.path}: the disk is full; make room, and run again")
            self._end += len(line)
            self._unsafe += 1
            if self._unsafe >= _SYNC_LINES or time.monotonic() - self._synced_s >= _SYNC_S:
                self.sync()
        return start, len(line)

    def sync(self) -> None:
        """Wait until every line is on the disk. Raises ManifestError if the disk refuses."""
        if self._descriptor is not None and self._unsafe:
            self._unsafe, self._synced_s = 0, time.monotonic()  # a second try would prove nothing
            with _explained(self.path):
                os.fsync(self._descriptor)

    def _content(self, line: bytes) -> dict[str, Any]:
        """Of a line of this format; {} of any other."""
        try:
            found: Any = json.loads(line)
            ours = isinstance(found, dict) and found.get("format") == self._number
            return localised(found) if ours else {}
        except (ValueError, RecursionError):
            return {}

    def _check_torn(self, line: bytes) -> None:
        if len(line) == _MAX_LINE_BYTES:  # a file of something else must not be cut
            raise ManifestError(
                f"{self.path}: has a line of {_MAX_LINE_BYTES} bytes or more, so it is not the log "
                "of a job; move it away"
            )


@contextmanager
def lines_in(path: Path, number: int, writable: bool) -> Iterator[Lines]:
    """The lines of a file, to be read. Writable, they are locked for this process.

    number  of the format

    Raises ManifestError if the file cannot be used, is a link, or another job is writing.
    """
    if not writable and not os.path.lexists(path):
        yield Lines(path, number, None)
        return
    with _explained(path):
        if writable:
            make_folders(path.parent)
        access = os.O_RDWR | os.O_CREAT if writable else os.O_RDONLY
        descriptor = open_regular(path, access | NO_LINK)
    try:
        if writable:
            _lock(path, descriptor)
        lines = Lines(path, number, descriptor, writable)
        try:
            yield lines
        finally:
            lines.sync()
    finally:
        os.close(descriptor)


def _lock(path: Path, descriptor: int) -> None:
    """Held until the file is closed or the process ends, however it ends."""
    try:
        lock_now(descriptor)
    except BlockingIOError as error:
        raise ManifestError(
            f"{path}: another job is writing into this folder; wait for it, or give another "
            "--output"
        ) from error
    except OSError as error:
        logger.warning(
            "%s: this file system has no locks (%s): make sure that no other job writes here",
            path,
            error.strerror,
        )


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        remedy = "check the folder's permissions and free space"
        if error.errno in (errno.ELOOP, errno.EINVAL):  # a link, a pipe or a device
            remedy = "move it away"
        raise ManifestError(f"{path}: cannot be used: {error.strerror}; {remedy}") from error
