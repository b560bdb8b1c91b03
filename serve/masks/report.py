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

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Optional

from depth.artifact.strict_json import decode
from serve.jobs.lines import Lines, Place, lines_in

REPORT = "masks-report.jsonl"
FORMAT = 1


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
    """The lines of a log in memory, which grow with the file.

    lines  the last line of each image
    masks  the sha256 of every mask that was ever written, by its name, also in other layouts
    """

    def __init__(self, log: Lines) -> None:
        self.lines: dict[str, Line] = {}
        self.masks: dict[str, str] = {}
        self._log = log
        log.read(self._take)

    def _take(self, _place: Place, found: dict[str, Any]) -> bool:
        try:
            line = decode(Line, found, further=True)
        except ValueError:
            return False
        self._note(line)
        return True

    def _note(self, line: Line) -> None:
        self.lines[line.image] = line
        if line.mask is not None:
            self.masks[line.mask.name] = line.mask.sha256

    def append(self, line: Line) -> None:
        """Add a line. Raises ManifestError if the disk refuses."""
        self._log.add(asdict(line))
        self._note(line)


@contextmanager
def report_in(folder: Path, writable: bool) -> Iterator[MaskReport]:
    """The log of an output folder, locked for this process if it is writable.

    Raises ManifestError if it cannot be used, or another job writes there.
    """
    with lines_in(folder / REPORT, FORMAT, writable) as lines:
        yield MaskReport(lines)
