"""Many images through an engine: each is done, kept or failed, and none stops the others."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Optional

from depth_anything_v2.errors import DepthAnythingError
from depth_anything_v2.image import read_header, read_image
from serve.engine import Engine, Raw
from serve.errors import ServeError
from serve.library import Size
from serve.workers import Outcome, each

logger = logging.getLogger(__name__)

DONE, KEPT, FAILED = "done", "kept", "failed"


@dataclass(frozen=True)
class Task:
    image: Path
    name: str  # what people call it: the path inside the input folder
    stem: Path  # where its outputs go, less their suffixes


@dataclass(frozen=True)
class Entry:
    """What became of one image."""

    image: str
    status: str  # done, kept or failed
    outputs: tuple[str, ...] = ()  # paths
    reason: str = ""
    notes: tuple[str, ...] = ()
    network_ms: Optional[float] = None


@dataclass
class Report:
    entries: list[Entry] = field(default_factory=list)
    wall_s: float = 0.0

    def count(self, status: str) -> int:
        return sum(entry.status == status for entry in self.entries)

    @property
    def exit_code(self) -> int:
        """0: all done. 1: all failed. 3: some failed."""
        failed = self.count(FAILED)
        return 0 if not failed else 1 if failed == len(self.entries) else 3


Write = Callable[[Task, Raw], Sequence[Path]]  # finish one image and write its files
Keep = Callable[[Task, Size], Sequence[Path]]  # files already there that can stay, or none
OnEntry = Callable[[Entry, int], None]  # an entry as it is made, and how many there will be


def run_batch(
    engine: Engine, tasks: Sequence[Task], write: Write, keep: Keep, on_entry: OnEntry
) -> Report:
    """Run every task. Programs that their sizes need are made ready first, all at once.

    Raises what the library raises if those cannot be had; failures of single images are entries.
    """
    started = time.perf_counter()
    report = Report()

    def add(entry: Entry) -> None:
        report.entries.append(entry)
        on_entry(entry, len(tasks))

    sized: list[tuple[Size, Task]] = []
    for task in tasks:
        try:
            header = read_header(task.image)
            sized.append((engine.size_for(header.height_px, header.width_px), task))
        except (DepthAnythingError, ServeError) as error:
            add(Entry(task.name, FAILED, reason=str(error)))
    engine.library.prepare(size for size, _ in sized)
    todo = []
    # By size, so that each program is loaded once.
    for size, task in sorted(sized, key=lambda pair: pair[0]):
        kept = keep(task, size)
        if kept:
            add(Entry(task.name, KEPT, tuple(map(str, kept))))
        else:
            todo.append(task)

    def work(task: Task) -> Entry:
        raw = engine.run(engine.prepare(read_image(task.image)))
        written = tuple(map(str, write(task, raw)))
        notes = raw.prepared.source.notes
        return Entry(task.name, DONE, written, "", notes, round(raw.network_ms, 1))

    # Two workers even for one stream: one reads and writes while the other has the network.
    for outcome in each(todo, work, max(2, engine.library.streams)):
        add(outcome.result or _failed(outcome))
    report.wall_s = time.perf_counter() - started
    return report


def _failed(outcome: Outcome[Task, Entry]) -> Entry:
    if not isinstance(outcome.error, (DepthAnythingError, ServeError)):
        logger.error("%s: unexpected error", outcome.key.name, exc_info=outcome.error)
    return Entry(outcome.key.name, FAILED, reason=str(outcome.error) or repr(outcome.error))
