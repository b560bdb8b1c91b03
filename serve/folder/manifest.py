"""The log of a folder job: one JSON line per finished image; the last line of an image counts.

Lines are appended whole, and forced onto the disk every `_SYNC_LINES` lines or `_SYNC_S` seconds
and at the end. A killed process can leave a torn last line: readers ignore that line, and the next
writer cuts it. Keys of a line, format 2:

    format     2
    image      path inside the input folder
    status     "done" or "failed"
    sha256     of the image's bytes; "" if they could not be read
    settings   formats, preset, preview, remark, `provenance`: model, weights, artifact, precision,
               shape policy, size, steps; `focal`, the focal length for metres; and `fit`, what
               depth is moved onto. Null where no size could be chosen
    outputs    name inside the output folder -> bytes
    reason     why it failed, else ""
    notes      what was left out of the image, such as "alpha ignored"
    timing_ms  of read, wait, network and write, where the image was worked on
    fit        how depth was moved onto measured depth; null without --fit
    finished   UTC time, ISO 8601

A line without `image` has `left_out`: how many files of each extension, "" for none, the last job
left out because they are no images by their names. There is no such line if there were none.

A line without both has `unlisted`: name inside the output folder -> {size_bytes, sha256}. These are
files of ours that no .json lists: of earlier results, and of all images of a preset. The last line
of a name counts. `clean` removes such a file unless its bytes are others.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import RLock
from typing import Any, Optional

from depth.artifact.strict_json import decode, parse_object
from depth.files import NO_LINK, localised, lock_now, make_folders, open_regular, sync_folder
from serve.errors import ManifestError
from serve.jobs.entry import FAILED, Entry

logger = logging.getLogger(__name__)

MANIFEST = "depth-report.jsonl"  # no output of an image can have this name
SEQUENCE = "sequence.json"  # of a sequence: see serve/sequences/record.py
FORMAT = 2

_SYNC_LINES, _SYNC_S = 100, 1.0
_MAX_LINE_BYTES = 1 << 20

_Place = tuple[int, int]  # of a line: offset and length in bytes


@dataclass(frozen=True)
class Unlisted:
    """A file of ours that no .json lists."""

    size_bytes: int
    sha256: str


class JobManifest:
    """The manifest in an open file, or an empty manifest. Holds the place of each last line.

    Safe in any thread.
    """

    def __init__(self, path: Path, descriptor: Optional[int]) -> None:
        self.path = path
        self._descriptor = descriptor
        self.failed: dict[str, Entry] = {}  # of the images that had failed when it was opened
        self._where: dict[str, _Place] = {}  # of the last line of an image
        self._unlisted: list[_Place] = []
        self._adding = RLock()
        self._end = 0  # of the last whole line
        self._unsafe = 0  # lines that may not be on the disk yet
        self._synced_s = time.monotonic()
        self._left_out: object = {}  # by the last line about it
        if descriptor is not None:
            self._index(descriptor)

    @property
    def images(self) -> list[str]:
        """The images that have an entry."""
        return list(self._where)

    def find(self, image: str) -> Optional[Entry]:
        """The last entry of an image; None if there is none of this format."""
        if image not in self._where:
            return None
        try:
            found = self._line(self._where[image])
            if isinstance(found.get("settings"), dict):
                found["settings"] = {"fit": None, "preset": "", **found["settings"]}
            return decode(Entry, {"fit": None, **found}, further=True)
        except (OSError, ValueError):
            return None

    def append(self, entry: Entry) -> None:
        """Add an entry. Raises ManifestError if the disk refuses."""
        self._where[entry.image] = self._add(asdict(entry))

    def note_left_out(self, extensions: Mapping[str, int]) -> None:
        """Add how many other files there are, unless the last such line says it.

        Raises ManifestError as `append`.
        """
        if self._left_out != extensions:
            self._add({"left_out": dict(extensions)})

    def note_unlisted(self, files: Mapping[str, Unlisted]) -> None:
        """Add files that no .json will list, by their names in the output folder.

        Raises ManifestError as `append`.
        """
        content = {name: asdict(file) for name, file in files.items()}
        self._unlisted.append(self._add({"unlisted": content}))

    def unlisted(self) -> dict[str, Unlisted]:
        """The files that no .json lists; a line that cannot be read counts as none."""
        found: dict[str, Unlisted] = {}
        for place in self._unlisted:
            with suppress(OSError, ValueError, LookupError):
                files = self._line(place)["unlisted"]
                found.update({name: decode(Unlisted, each) for name, each in files.items()})
        return found

    def _line(self, place: _Place) -> dict[str, Any]:
        """Raises OSError, ValueError."""
        if self._descriptor is None:
            raise ValueError("no manifest")
        offset, length = place
        found: dict[str, Any] = localised(parse_object(os.pread(self._descriptor, length, offset)))
        return found

    def _add(self, content: Mapping[str, Any]) -> _Place:
        if self._descriptor is None:
            raise ManifestError(f"{self.path}: there is no such file to add to")
        line = json.dumps({"format": FORMAT, **content}).encode() + b"\n"
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

    def cut(self) -> None:
        """Remove a torn last line."""
        if self._descriptor is not None:
            with _explained(self.path):
                os.ftruncate(self._descriptor, self._end)

    def _index(self, descriptor: int) -> None:
        ignored = 0
        with _explained(self.path), os.fdopen(descriptor, "rb", closefd=False) as file:
            for line in iter(lambda: file.readline(_MAX_LINE_BYTES), b""):
                if not line.endswith(b"\n"):
                    self._check_torn(line)
                    break
                found = _line_of(line)
                if isinstance(found.get("image"), str):
                    self._where[found["image"]] = (self._end, len(line))
                elif "left_out" in found:
                    self._left_out = found["left_out"]
                elif isinstance(found.get("unlisted"), dict):
                    self._unlisted.append((self._end, len(line)))
                else:
                    ignored += 1
                self._end += len(line)
        for image, entry in ((image, self.find(image)) for image in self._where):
            if entry is not None and entry.status == FAILED:
                self.failed[image] = entry
        if ignored:
            logger.warning(
                "%s: ignored %d lines that are not format %d", self.path, ignored, FORMAT
            )

    def _check_torn(self, line: bytes) -> None:
        if len(line) == _MAX_LINE_BYTES:  # a file of something else must not be cut
            raise ManifestError(
                f"{self.path}: has a line of {_MAX_LINE_BYTES} bytes or more, so it is not the log "
                "of a job; move it away"
            )


@contextmanager
def manifest_in(folder: Path, writable: bool) -> Iterator[JobManifest]:
    """The manifest of an output folder. A writable manifest is locked for this process.

    Raises ManifestError if the file cannot be used, is a link, or another job is writing.
    """
    path = folder / MANIFEST
    if not writable and not os.path.lexists(path):
        yield JobManifest(path, None)
        return
    with _explained(path):
        if writable:
            make_folders(folder)
        access = os.O_RDWR | os.O_CREAT if writable else os.O_RDONLY
        descriptor = open_regular(path, access | NO_LINK)
    try:
        if writable:
            _lock(path, descriptor)
        manifest = JobManifest(path, descriptor)
        if writable:
            manifest.cut()
            with _explained(path):
                sync_folder(folder)
        try:
            yield manifest
        finally:
            manifest.sync()
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


def _line_of(line: bytes) -> dict[str, Any]:
    """A line of this format; {} for any other."""
    try:
        found: Any = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    ours = isinstance(found, dict) and found.get("format") == FORMAT
    return localised(found) if ours else {}
