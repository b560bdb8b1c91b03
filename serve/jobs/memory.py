"""Memory of the images under way, bounded in bytes: how much it may be, and which image begins."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Condition, Lock
from typing import Optional

from depth.images.header import ImageHeader

ROOT = Path("/")
MOST_BYTES = 2_000_000_000  # that images may take by default
_SHARE = 3  # of the machine's memory they take at most one part in three
_CGROUP = "sys/fs/cgroup"
_LIMITS = ("memory.max", "memory.limit_in_bytes")  # of a control group, version 2 and 1

# Measured, in bytes per pixel. The pixels themselves take 3, and a float64 channel 8 on the way to
# the network or up to 13 go to a decoder. Then the depth takes 4, and making its file up to 10.
_PIXELS_AND_WORK = 13
_PER_FILE = 4

# mallopt(3) of glibc. Blocks above the first limit are given back to the system at once; 32 MiB is
# the most that it takes. The second is what a thread's heap may have free at its end.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_GIVEN_BACK_BYTES, _KEPT_BYTES = 32 << 20, 256 << 20


def default_limit_bytes(root: Path = ROOT) -> int:
    """A third of the memory that this process may use, and at most MOST_BYTES.

    That memory is the machine's, or less if a control group of the process has a limit.
    """
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min(MOST_BYTES, min([machine, *_group_limits(root)]) // _SHARE)


def _group_limits(root: Path) -> Iterator[int]:
    """The limits in bytes of this process's control groups, and of the groups around them."""
    text = ""
    with suppress(OSError):
        text = (root / "proc/self/cgroup").read_text()
    for line in text.splitlines():
        _, controllers, path = line.split(":", 2)
        mounted = root / _CGROUP / ("memory" if "memory" in controllers.split(",") else "")
        group = mounted / path.strip("/")
        for folder in (group, *group.parents):
            yield from (_number(folder / name) for name in _LIMITS if (folder / name).is_file())
            if folder == mounted:
                break


def _number(path: Path) -> int:
    """The number in a file, or more than any memory has, as for "max"."""
    with suppress(OSError, ValueError):
        return int(path.read_text())
    return 1 << 62


def keep_freed_memory() -> None:
    """Let this process use freed memory again, in place of giving it back after each image.

    For servers: the system clears each page that it hands out, in threads 15 ms for a 1080p image.
    The process stays as large as it once was. Without glibc nothing changes.
    """
    if "CS_GNU_LIBC_VERSION" in os.confstr_names:
        libc = ctypes.CDLL(None)
        libc.mallopt(_MMAP_THRESHOLD, _GIVEN_BACK_BYTES)
        libc.mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)


class Budget:
    """Bytes that users share. A larger demand waits until nobody else has any."""

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self._used_bytes = 0
        self._turn = Lock()  # whoever waits for room is next: smaller demands cannot overtake it
        self._given_back = Condition()

    @contextmanager
    def taken(self, wanted_bytes: int) -> Iterator[None]:
        """Wait until there is room for this number of bytes, then hold it."""
        wanted = min(wanted_bytes, self.limit_bytes)
        with self._turn, self._given_back:
            self._given_back.wait_for(lambda: self._used_bytes + wanted <= self.limit_bytes)
            self._used_bytes += wanted
        try:
            yield
        finally:
            with self._given_back:
                self._used_bytes -= wanted
                self._given_back.notify()


class Room:
    """Memory that images under way may take. A larger image waits until no other is under way.

    files        how many files of its own size an image becomes
    limit_bytes  of all images under way; by default `default_limit_bytes`
    """

    def __init__(self, files: int = 1, limit_bytes: Optional[int] = None) -> None:
        self._per_px = _PIXELS_AND_WORK + _PER_FILE * files
        self._budget = Budget(default_limit_bytes() if limit_bytes is None else limit_bytes)

    def needed_bytes(self, header: ImageHeader) -> int:
        """The most that an image takes while it is under way."""
        return header.width_px * header.height_px * self._per_px

    @contextmanager
    def taken(self, header: ImageHeader, alone: bool = False) -> Iterator[None]:
        """Wait until there is room for an image, then hold it; `alone`: for this image only."""
        with self._budget.taken(self._budget.limit_bytes if alone else self.needed_bytes(header)):
            yield
