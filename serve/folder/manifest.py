"""The log of a folder job: one JSON line per finished image; the last line of an image counts.

Lines are appended whole. A killed process can leave a torn last line: readers ignore that line, and
the next writer cuts it. Keys of a line, format 2:

    format     2
    image      path inside the input folder
    status     "done" or "failed"
    sha256     of the image's bytes; "" if they could not be read
    settings   formats, preview, remark, `provenance`: model, weights, artifact, precision, shape
               policy, size, steps; and `focal`, the focal length for metres. Null where no size
               could be chosen
    outputs    name inside the output folder -> bytes
    reason     why it failed, else ""
    notes      what was left out of the image, such as "alpha ignored"
    timing_ms  of read, wait, network and write, where the image was worked on
    finished   UTC time, ISO 8601
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Optional

from depth.artifact.strict_json import decode, parse_object
from depth.files import lock_now
from serve.errors import ManifestError
from serve.jobs.entry import FAILED, Entry

logger = logging.getLogger(__name__)

MANIFEST = "depth-report.jsonl"  # no output of an image can have this name
FORMAT = 2


class JobManifest:
    """The manifest in an open file, or an empty manifest. Holds the place of each last line.

    `find` is safe in any thread, `append` in one thread only.
    """

    def __init__(self, path: Path, descriptor: Optional[int]) -> None:
        self.path = path
        self._descriptor = descriptor
        self.failed: dict[str, Entry] = {}  # of the images that had failed when it was opened
        self._where: dict[str, tuple[int, int]] = {}  # image -> offset and length in bytes
        self._end = 0  # of the last whole line
        if descriptor is not None:
            self._index()

    def find(self, image: str) -> Optional[Entry]:
        """The last entry of an image; None if there is none of this format."""
        if image not in self._where or self._descriptor is None:
            return None
        offset, length = self._where[image]
        try:
            found = parse_object(os.pread(self._descriptor, length, offset))
            return decode(Entry, found, further=True)
        except (OSError, ValueError):
            return None

    def append(self, entry: Entry) -> None:
        """Add an entry. Raises ManifestError if the disk refuses."""
        if self._descriptor is None:
            raise ManifestError(f"{self.path}: there is no such file to add to")
        line = json.dumps({"format": FORMAT, **asdict(entry)}).encode() + b"\n"
        with _explained(self.path):
            written = os.pwrite(self._descriptor, line, self._end)
        if written != len(line):
            raise ManifestError(f"{self.path}: the disk is full; make room, and run again")
        self._where[entry.image] = (self._end, len(line))
        self._end += len(line)

    def cut(self) -> None:
        """Remove a torn last line."""
        if self._descriptor is not None:
            with _explained(self.path):
                os.ftruncate(self._descriptor, self._end)

    def _index(self) -> None:
        ignored = 0
        with _explained(self.path), self.path.open("rb") as file:
            for line in file:
                if not line.endswith(b"\n"):
                    break
                image = _image_of(line)
                if image is None:
                    ignored += 1
                else:
                    self._where[image] = (self._end, len(line))
                self._end += len(line)
        for image, found in ((image, self.find(image)) for image in self._where):
            if found is not None and found.status == FAILED:
                self.failed[image] = found
        if ignored:
            logger.warning(
                "%s: ignored %d lines that are not format %d", self.path, ignored, FORMAT
            )


@contextmanager
def manifest_in(folder: Path, writable: bool) -> Iterator[JobManifest]:
    """The manifest of an output folder. A writable manifest is locked for this process.

    Raises ManifestError if the file cannot be used, or another job is writing.
    """
    path = folder / MANIFEST
    if not writable and not path.exists():
        yield JobManifest(path, None)
        return
    with _explained(path):
        if writable:
            folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT if writable else os.O_RDONLY, 0o666)
    try:
        if writable:
            _lock(path, descriptor)
        manifest = JobManifest(path, descriptor)
        if writable:
            manifest.cut()
        yield manifest
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
        raise ManifestError(
            f"{path}: cannot be used: {error.strerror}; check the folder's permissions and free "
            "space"
        ) from error


def _image_of(line: bytes) -> Optional[str]:
    """The image that a line of this format is about."""
    try:
        found: Any = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        return None
    image = found.get("image")
    return image if isinstance(image, str) else None
