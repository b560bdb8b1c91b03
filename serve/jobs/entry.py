"""The images of a job: what a front end does with each, the fate of each, counts by status."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Optional, Protocol, Union

from depth.console import one_line
from depth.images.listing import counted
from depth.images.read import ImageFile, SourceImage
from depth.maps.fit import FitBasis, FitRecord
from depth.maps.result import Focal, Provenance, Result
from serve.engine import Foreseen
from serve.errors import RESTART

DONE, KEPT, FAILED = "done", "kept", "failed"
TODO = "todo"  # in a dry run


@dataclass(frozen=True)
class Task:
    """An image of a job."""

    image: Path
    name: str  # what people call it: the path inside the input folder
    stem: Path  # where its outputs go, less their suffixes


@dataclass(frozen=True)
class Settings:
    """Everything that a result depends on besides the image's bytes."""

    formats: tuple[str, ...]
    preview: bool
    remark: str
    provenance: Optional[Provenance]  # None: the program of its size is not made yet
    focal: Optional[Focal]  # that metres are made with
    fit: Optional[FitBasis] = None  # what depth is moved onto
    preset: str = ""  # with the camera that is asked for, where its files say it


@dataclass(frozen=True)
class Entry:
    """The fate of one image; a line of the job's manifest."""

    image: str  # its path inside the input folder
    status: str  # done, kept, failed or todo
    sha256: str = ""  # of the image's bytes; "" if they could not be read
    settings: Optional[Settings] = None  # None where no size could be chosen, and for pictures
    outputs: Mapping[str, int] = field(default_factory=dict)  # name in the output folder -> bytes
    reason: str = ""  # why it failed, or why it is to be done
    notes: tuple[str, ...] = ()  # what was left out of the image, such as "alpha ignored"
    timing_ms: Mapping[str, float] = field(default_factory=dict)  # of read, wait, network, write
    fit: Optional[FitRecord] = None  # how depth was moved onto measured depth
    finished: str = ""  # UTC time, ISO 8601; of a manifest's line


@dataclass(frozen=True)
class Written:
    """The files of an image and their bytes, their settings, and how depth was fitted."""

    outputs: Mapping[str, int]
    settings: Optional[Settings] = None
    fit: Optional[FitRecord] = None


class Outputs(Protocol):
    """Where the results of a job go, and what is there already. Called in many threads."""

    def look(self, task: Task, file: ImageFile, foreseen: Foreseen) -> Union[Entry, str]:
        """The entry of an image that needs no work, else why it needs work."""

    def write(self, task: Task, source: SourceImage, result: Result) -> Written:
        """Write the files of an image."""

    def settings(self, task: Task, foreseen: Foreseen) -> Optional[Settings]:
        """What a result of an image would depend on, for the entry of a failure."""


OnEntry = Callable[[Entry, int], None]  # called with each entry and the number of all images


@dataclass
class Report:
    """Counts of images by status."""

    total: int
    counts: Counter[str] = field(default_factory=Counter)
    stopped: str = ""  # why the run ended early
    restart: bool = False  # a new process can go on where this one had to stop
    left_out: Mapping[str, int] = field(default_factory=dict)  # files by extension, no images
    gone: int = 0  # images whose files somebody deleted while the job ran
    fitted: int = 0  # images whose depth was moved onto measured depth
    worst_fit: tuple[float, str] = (0.0, "")  # the largest median error as a share, and its image

    def add(self, entry: Entry) -> None:
        """Count an image."""
        self.counts[entry.status] += 1
        if entry.fit is not None:
            self.fitted += 1
            self.worst_fit = max(self.worst_fit, (entry.fit.median_share, entry.image))

    @property
    def fits(self) -> str:
        """Such as "3 fitted to measured depth, worst a.jpg with a median error of 2.1 %"; or ""."""
        if not self.fitted:
            return ""
        share, image = self.worst_fit
        worst = f"worst {one_line(image)} with a median error of {100 * share:.2g} %"
        return f"{self.fitted} fitted to measured depth, {worst}"

    @property
    def left(self) -> int:
        """How many images the run did not reach."""
        return self.total - sum(self.counts.values())

    @property
    def others(self) -> str:
        """Such as "3 other files left out: .ppm 2, no extension 1"; "" if there are none."""
        count = sum(self.left_out.values())
        files = "file" if count == 1 else "files"
        return f"{count} other {files} left out: {counted(self.left_out)}" if count else ""

    @property
    def exit_code(self) -> int:
        """0: all done. 1: all failed. 3: some failed, left or gone. RESTART: for a new process."""
        failed, lacking = self.counts[FAILED], self.left + self.gone
        if self.restart and failed + lacking:
            return RESTART
        return 0 if not failed + lacking else 1 if failed == self.total else 3
