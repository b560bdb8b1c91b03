"""The names of the images that a job works on, in a file, for the run after a killed run.

An image can end the whole process: the kernel kills it for lack of memory, or a decoder crashes.
So a job names each image in a file before it decodes it, and takes the name out afterwards.

suspect  was under way when a run was killed: the next run does it last, and alone
guilty   was alone when a run was killed: the next run fails it, and the run after that tries again

One line of JSON at the start of the file counts, written by one call and not forced onto the disk:
what a killed process wrote is there, and after a power cut no image is to blame.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock
from typing import Any, Optional

from depth.console import one_line
from depth.files import NO_LINK, open_regular

logger = logging.getLogger(__name__)

UNDER_WAY = "depth-report.under-way"  # no output of an image has this suffix
FORMAT = 1
_MAX_BYTES = 10_000_000
_SHOWN = 5  # names in the line about them
_KILLS = Path("/proc/vmstat")  # has how many processes the kernel ended for lack of memory


class UnderWay:
    """Names of images under way, in an open file or only in memory. Safe in any thread."""

    def __init__(self, descriptor: Optional[int] = None, images: Collection[str] = ()) -> None:
        self._descriptor = descriptor
        self._lock = Lock()
        self._names: set[str] = set()
        self._kills = _kernel_kills()
        before = {} if descriptor is None else _read(descriptor)
        killed, suspects = texts(before, "under_way"), texts(before, "suspects")
        self.suspects = (killed | suspects) & set(images)
        self.guilty = killed & suspects & set(images)
        kills = before.get("kernel_kills")
        self._starved = isinstance(kills, int) and 0 <= kills < self._kills
        if before:  # an image that is guilty now is a suspect in the next run
            self._write()

    @contextmanager
    def named(self, image: str) -> Iterator[None]:
        """Inside, the file has the name of this image. Afterwards it is no suspect any more."""
        with self._lock:
            self._names.add(image)
            self._write()
        try:
            yield
        finally:
            with self._lock:
                self._names.discard(image)
                self.suspects.discard(image)
                self._write()

    def clear(self, image: str) -> None:
        """A suspect that needs no work is none."""
        if image in self.suspects:
            with self._lock:
                self.suspects.discard(image)
                self._write()

    def reason(self, size_px: tuple[int, int], needed_bytes: int) -> str:
        """Why a guilty image of (width, height) px fails."""
        cause = "It was killed from outside, or a decoder crashed; save the image again"
        if self._starved:
            cause = "The kernel ended a process for lack of memory; reduce the image"
        width, height = size_px
        return (
            "the job was killed twice while this image was under way, the second time with no "
            f"other image. {cause}, or give the job more memory: {width}x{height} px take up to "
            f"{needed_bytes / 1e6:.0f} MB. The next run tries again"
        )

    @property
    def empty(self) -> bool:
        return not self._names and not self.suspects

    def _write(self) -> None:
        if self._descriptor is None:
            return
        content = {
            "format": FORMAT,
            "under_way": sorted(self._names),
            "suspects": sorted(self.suspects),
            "kernel_kills": self._kills,
        }
        with suppress(OSError):  # a full disk: the job says so where it matters
            os.pwrite(self._descriptor, json.dumps(content).encode() + b"\n", 0)


@contextmanager
def under_way_in(folder: Path, images: Collection[str], writable: bool) -> Iterator[UnderWay]:
    """The names of images under way, in a file of `folder` that is removed when all are done.

    images    names of all images of the job; names of others are dropped
    writable  False: the names are only in memory

    Logs the suspects. A file that cannot be used is logged, and the job goes on without it. The
    caller holds the lock on the folder's manifest.
    """
    path = folder / UNDER_WAY
    descriptor = _open(path) if writable else None
    found = UnderWay(descriptor, images)
    if found.suspects:
        warn_of_suspects(found.suspects)
    try:
        yield found
    finally:
        if descriptor is not None:
            os.close(descriptor)
            if found.empty:
                path.unlink(missing_ok=True)


def _open(path: Path) -> Optional[int]:
    try:
        return open_regular(path, os.O_RDWR | os.O_CREAT | NO_LINK)
    except OSError as error:
        logger.warning("%s: cannot be used: %s; move it away", path, error.strerror)
        return None


def warn_of_suspects(suspects: Collection[str]) -> None:
    """Log the images that the next run does last."""
    names = sorted(suspects)
    shown = ", ".join(map(one_line, names[:_SHOWN]))
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    logger.warning(
        "the last run was killed while these images were under way, so they come last, one at a "
        "time: %s%s",
        shown,
        more,
    )


def _read(descriptor: int) -> dict[str, Any]:
    """What the first line says; {} if that is nothing of ours, as in a new file."""
    line, end, _ = os.pread(descriptor, _MAX_BYTES, 0).partition(b"\n")
    return parsed(line) if end else {}


def parsed(data: bytes) -> dict[str, Any]:
    """What a record of images under way says; {} if it is nothing of ours."""
    with suppress(ValueError, RecursionError):
        found = json.loads(data)
        if isinstance(found, dict) and found.get("format") == FORMAT:
            return found
    return {}


def texts(found: dict[str, Any], key: str) -> set[str]:
    """The names in a list of a record."""
    listed = found.get(key)
    return {name for name in listed if isinstance(name, str)} if isinstance(listed, list) else set()


def _kernel_kills() -> int:
    """How many processes of this machine the kernel has ended for lack of memory; -1: unknown."""
    with suppress(OSError, ValueError):
        for line in _KILLS.read_text().splitlines():
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    return -1
