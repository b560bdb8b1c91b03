"""The log of a job of masks: one JSON line per image; the last line of an image counts.

Keys of a line, format 1:

    format     1
    image      path inside the folder of images
    status     "done" or "failed"
    sha256     of the image's bytes; "" if they could not be read
    settings   everything else that the mask depends on: layout, rules, artifact, depth
    mask       {name, sha256} inside the output folder; null if it failed
    preview    {name, sha256}, or null
    masked     share of the image that is left out, 0 to 1
    sources    the same of each source: range, quantile, sky, confidence, instances
    instances  how many of each class
    reason     why it failed, else ""
    finished   UTC time, ISO 8601
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Optional

from depth.artifact.strict_json import decode
from depth.files import NO_LINK, localised, lock_now, make_folders, open_regular
from serve.errors import ManifestError

REPORT = "masks-report.jsonl"
FORMAT = 1
_MAX_BYTES = 2_000_000_000


@dataclass(frozen=True)
class Named:
    """A file that was written."""

    name: str  # inside the output folder
    sha256: str


@dataclass(frozen=True)
class Line:
    """What became of an image."""

    image: str
    status: str
    sha256: str
    settings: Mapping[str, Any]
    mask: Optional[Named] = None
    preview: Optional[Named] = None
    masked: float = 0.0
    sources: Mapping[str, float] = field(default_factory=dict)
    instances: Mapping[str, int] = field(default_factory=dict)
    reason: str = ""
    finished: str = ""


class MaskReport:
    """The lines of a log in memory, and the open file that they are appended to.

    lines  the last line of each image
    masks  the sha256 of every mask that was ever written, by its name, also in other layouts
    """

    def __init__(self, path: Path, descriptor: Optional[int]) -> None:
        self.path = path
        self.lines: dict[str, Line] = {}
        self.masks: dict[str, str] = {}
        self._descriptor = descriptor
        self._end = 0
        if descriptor is not None:
            self._read(descriptor)

    def _read(self, descriptor: int) -> None:
        if os.fstat(descriptor).st_size > _MAX_BYTES:
            raise ManifestError(f"{self.path}: too large for the log of a job; move it away")
        with os.fdopen(os.dup(descriptor), "rb") as file:
            for text in file:
                if not text.endswith(b"\n"):  # a killed process left it: the next line takes over
                    break
                self._end += len(text)
                line = _line_of(text)
                if line is not None:
                    self._note(line)

    def _note(self, line: Line) -> None:
        self.lines[line.image] = line
        if line.mask is not None:
            self.masks[line.mask.name] = line.mask.sha256

    def append(self, line: Line) -> None:
        """Add a line. Raises ManifestError if the disk refuses."""
        self._note(line)
        if self._descriptor is None:
            return
        data = json.dumps({"format": FORMAT, **asdict(line)}).encode() + b"\n"
        try:
            if os.pwrite(self._descriptor, data, self._end) != len(data):
                raise OSError("no space left on the device")
        except OSError as error:
            raise ManifestError(
                f"{self.path}: cannot be written: {error.strerror or error}; make room, and run "
                "the same command again"
            ) from error
        self._end += len(data)

    def cut(self) -> None:
        """Remove a torn last line, and wait until every line is on the disk."""
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, self._end)
            os.fsync(self._descriptor)


@contextmanager
def report_in(folder: Path, writable: bool) -> Iterator[MaskReport]:
    """The log of an output folder, locked for this process if it is writable.

    Raises ManifestError if it cannot be used, or another job writes there.
    """
    path = folder / REPORT
    if not writable and not path.exists():
        yield MaskReport(path, None)
        return
    try:
        if writable:
            make_folders(folder)
        access = os.O_RDWR | os.O_CREAT if writable else os.O_RDONLY
        descriptor = open_regular(path, access | NO_LINK)
    except OSError as error:
        raise ManifestError(f"{path}: cannot be used: {error.strerror}; move it away") from error
    try:
        if writable:
            _lock(path, descriptor)
        report = MaskReport(path, descriptor)
        if writable:
            report.cut()
        try:
            yield report
        finally:
            if writable:
                report.cut()
    finally:
        os.close(descriptor)


def _lock(path: Path, descriptor: int) -> None:
    try:
        lock_now(descriptor)
    except BlockingIOError as error:
        raise ManifestError(
            f"{path}: another job is writing masks there; wait for it, or give another --output"
        ) from error
    except OSError:  # a file system without locks
        return


def _line_of(text: bytes) -> Optional[Line]:
    """A line of this format; None for any other."""
    try:
        found: Any = localised(json.loads(text))
        if isinstance(found, dict) and found.pop("format", None) == FORMAT:
            return decode(Line, found, further=True)
    except (ValueError, RecursionError):
        pass
    return None
