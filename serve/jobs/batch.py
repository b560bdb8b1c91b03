"""Many images through an engine: each is done, kept or failed, and none stops the others."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Optional, Union

from depth.errors import DepthAnythingError
from depth.images.read import read_header, read_image
from serve.engine import Engine, Raw
from serve.errors import OutOfService, ServeError
from serve.folder.resume import digest
from serve.jobs.stop import Stop, Stopped
from serve.jobs.workers import Outcome, each
from serve.library import Size

logger = logging.getLogger(__name__)

_LOOKING = 2  # threads that look what is to be done
DONE, KEPT, FAILED = "done", "kept", "failed"
TODO = "todo"  # in a dry run


@dataclass(frozen=True)
class Task:
    image: Path
    name: str  # what people call it: the path inside the input folder
    stem: Path  # where its outputs go, less their suffixes


@dataclass(frozen=True)
class Entry:
    """What became of one image."""

    image: str
    status: str  # done, kept, failed or todo
    outputs: tuple[str, ...] = ()  # paths
    reason: str = ""  # why it failed, or why it is to be done
    notes: tuple[str, ...] = ()
    sha256: str = ""  # of the image's bytes; "" if they could not be read
    size: Optional[Size] = None  # what the network sees
    timing_ms: Mapping[str, float] = field(default_factory=dict)  # of read, wait, network, write


@dataclass(frozen=True)
class Todo:
    """A task that needs work, and why."""

    task: Task
    size: Size
    reason: str


@dataclass
class Report:
    """How many images became what. It does not grow with their number."""

    total: int
    counts: Counter[str] = field(default_factory=Counter)
    stopped: str = ""  # why the run ended early

    @property
    def left(self) -> int:
        """Images that the run did not come to."""
        return self.total - sum(self.counts.values())

    @property
    def exit_code(self) -> int:
        """0: all done. 1: all failed. 3: some failed or left."""
        failed = self.counts[FAILED]
        return 0 if not failed + self.left else 1 if failed == self.total else 3


Check = Callable[[Task, Size], Union[Entry, str]]  # an entry if nothing is to do, else why
Write = Callable[[Task, Raw], Sequence[Path]]  # finish one image and write its files
OnEntry = Callable[[Entry, int], None]  # an entry as it is made, and how many there will be


class Batch:
    """One run over `tasks`: first `plan`, then `work`. Entries go to `on_entry` and are let go.

    `stop` ends it early, and so does a device that has no core left, whose images are left like
    those that were not begun; a first failure does if `fail_fast`. What runs is finished.
    """

    def __init__(
        self,
        engine: Engine,
        tasks: Sequence[Task],
        on_entry: OnEntry,
        stop: Optional[Stop] = None,
        fail_fast: bool = False,
    ) -> None:
        self.report = Report(len(tasks))
        self._engine = engine
        self._tasks = tasks
        self._on_entry = on_entry
        self._stop = stop or Stop()
        self._fail_fast = fail_fast

    def add(self, entry: Entry) -> None:
        """Count an entry and pass it on."""
        self.report.counts[entry.status] += 1
        self._on_entry(entry, self.report.total)
        if entry.status == FAILED and self._fail_fast:
            self._stop.request("a failure")

    def plan(self, check: Check) -> list[Todo]:
        """What needs work; for the others, and for what cannot be read, entries are made.

        By program size, so that each program is loaded once.
        """

        def look(task: Task) -> Union[Entry, Todo]:
            header = read_header(task.image)
            size = self._engine.size_for(header.height_px, header.width_px)
            found = check(task, size)
            return Todo(task, size, found) if isinstance(found, str) else found

        todo = []
        for outcome in each(self._tasks, look, _LOOKING, self._stop.requested):
            if isinstance(outcome.result, Todo):
                todo.append(outcome.result)
            else:
                self.add(outcome.result or _failed(outcome.key, None, outcome))
        self.report.stopped = self._stop.reason
        return sorted(todo, key=lambda one: (one.size, one.task.name))

    def work(self, todo: Sequence[Todo], write: Write) -> None:
        """Do it. Programs that are missing are made first, all at once.

        Raises what the library raises if those cannot be had; failures of images are entries.
        """

        def one(item: Todo) -> Entry:
            return self._one(item, write)

        if todo and self._programs_ready(todo):
            at_once = self._engine.images_at_once
            for outcome in each(todo, one, at_once, self._stop.requested):
                if isinstance(outcome.error, OutOfService):
                    self._stop.request(str(outcome.error))  # and left: no image is at fault
                else:
                    self.add(outcome.result or _failed(outcome.key.task, outcome.key.size, outcome))
        self.report.stopped = self._stop.reason

    def _programs_ready(self, todo: Sequence[Todo]) -> bool:
        """Makes and loads them, which may take minutes; false if a stop cut it off."""
        sizes = {item.size for item in todo}
        try:
            with self._stop.interrupts():
                self._engine.library.prepare(sizes)
        except Stopped:
            return False
        return self._engine.make_ready(sizes, len(todo), self._stop.requested)

    def _one(self, item: Todo, write: Write) -> Entry:
        started = time.perf_counter()
        prepared = self._engine.prepare(read_image(item.task.image, self._engine.needed))
        read_ms = (time.perf_counter() - started) * 1e3
        raw = self._engine.run(prepared)
        started = time.perf_counter()
        written = write(item.task, raw)
        write_ms = (time.perf_counter() - started) * 1e3
        timing_ms = {
            "read": read_ms,
            "wait": raw.wait_ms,
            "network": raw.network_ms,
            "write": write_ms,
        }
        return Entry(
            item.task.name,
            DONE,
            tuple(map(str, written)),
            notes=prepared.source.notes,
            sha256=prepared.source.sha256,
            size=prepared.size,
            timing_ms={name: round(ms, 1) for name, ms in timing_ms.items()},
        )


def _failed(
    task: Task,
    size: Optional[Size],
    outcome: Union[Outcome[Task, Union[Entry, Todo]], Outcome[Todo, Entry]],
) -> Entry:
    error = outcome.error
    if not isinstance(error, (DepthAnythingError, ServeError)):
        logger.error("%s: unexpected error", task.name, exc_info=error)
    reason = str(error) or repr(error)
    return Entry(task.name, FAILED, reason=reason, sha256=digest(task.image), size=size)
