"""Many images through an engine: each is done, kept or failed, and none stops the others.

Each image file is read once, in chunks: threads read the next chunk while the engine works on this
one. So memory does not grow with the number of images.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Optional, Union

from depth.errors import DepthAnythingError
from depth.images.read import MAX_FILE_BYTES, ImageFile, decode
from depth.sizes import Size
from serve.engine import Engine, Foreseen
from serve.errors import NoProgramError, OutOfServiceError, RestartError, ServeError
from serve.jobs.entry import DONE, FAILED, TODO, Entry, Outputs, Report, Settings, Task
from serve.jobs.memory import Room
from serve.jobs.stop import Stop
from serve.jobs.threads import ahead, each
from serve.jobs.under_way import UnderWay

logger = logging.getLogger(__name__)

CHUNK_BYTES = 64_000_000  # of image files
_LOOKING = 2  # threads that read files and decide what to do with each


@dataclass(frozen=True)
class Todo:
    """An image that needs work, and why."""

    task: Task
    file: ImageFile
    foreseen: Foreseen
    reason: str
    read_ms: float  # that reading the file took


class _Chunk:
    """Some of the tasks: those that need work, by program size, and entries of the others."""

    def __init__(self, looked: Iterable[Union[Entry, Todo]], left: int) -> None:
        found = list(looked)
        todo = [item for item in found if isinstance(item, Todo)]
        self.entries = [item for item in found if isinstance(item, Entry)]
        self.todo = deque(sorted(todo, key=lambda item: (item.foreseen.size, item.task.name)))
        self.left = left  # tasks of later chunks

    @property
    def sizes(self) -> set[Size]:
        return {item.foreseen.size for item in self.todo}


class Batch:
    """One run over `tasks`; `run` yields each entry once and keeps none.

    `room` bounds the memory of images under way. `under_way` names them in a file; images that an
    earlier run was killed with come last, one at a time.

    Three things end a run early: `stop`, a device without a core in service, and with `fail_fast`
    the first failure. Images under way are finished; the others are left. A dry run only reports
    what it would do.
    """

    def __init__(
        self,
        engine: Engine,
        tasks: Sequence[Task],
        outputs: Outputs,
        stop: Optional[Stop] = None,
        fail_fast: bool = False,
        dry_run: bool = False,
        room: Optional[Room] = None,
        under_way: Optional[UnderWay] = None,
    ) -> None:
        self.report = Report(len(tasks))
        self._engine = engine
        self._needed = engine.needed
        self._tasks = tasks
        self._outputs = outputs
        self._stop = stop or Stop()
        self._fail_fast = fail_fast
        self._dry_run = dry_run
        self._room = room or Room()
        self._under_way = under_way or UnderWay()
        self._ready: set[Size] = set()  # sizes whose programs are made
        self._chunks: Iterator[_Chunk] = iter(())
        self._next: Optional[_Chunk] = None
        self._over = False

    def run(self) -> Generator[Entry, None, None]:
        """Yield the entries. Missing programs of a chunk are built before its images, together.

        Raises the library's errors if it has no programs; a failure of an image is an entry.
        """
        with closing(ahead(self._looked())) as self._chunks:
            try:
                for entry in self._entries():
                    self.report.add(entry)
                    if entry.status == FAILED and self._fail_fast:
                        self._stop.request("a failure")
                    yield entry
            finally:
                self._over = True
                self.report.stopped = self._stop.reason

    def _entries(self) -> Iterator[Entry]:
        self._next = next(self._chunks, None)
        while self._next is not None:
            chunk = self._next
            yield from chunk.entries
            chunk.entries.clear()
            if self._dry_run:
                yield from (
                    Entry(item.task.name, TODO, item.file.sha256, reason=item.reason)
                    for item in chunk.todo
                )
            elif chunk.todo:
                if not self._programs_ready(chunk):
                    return
                yield from self._worked(chunk)
                continue
            self._next = next(self._chunks, None)

    def _worked(self, chunk: _Chunk) -> Iterator[Entry]:
        """Entries of this chunk and of the next ones up to a new size, without a pause between.

        Sets `_next` to the chunk with the new size.
        """
        aside: list[Entry] = []
        keys = self._stream(chunk, aside)
        for entry in each(keys, self._finished, self._engine.images_at_once, self._ended):
            yield entry
            yield from aside
            aside.clear()
        yield from aside

    def _stream(self, chunk: _Chunk, aside: list[Entry]) -> Iterator[Todo]:
        current: Optional[_Chunk] = chunk
        while current is not None and current.sizes <= self._ready:
            aside += current.entries
            current.entries.clear()
            while current.todo:
                yield current.todo.popleft()  # its bytes go with the work
            current = next(self._chunks, None)
        self._next = current

    def _programs_ready(self, chunk: _Chunk) -> bool:
        """Build and load the programs, which may take minutes; false if a stop ended that."""
        if self._stop.reason:
            return False
        expected = len(chunk.todo) + chunk.left
        try:
            ready = self._engine.make_ready(chunk.sizes, expected, self._stop.requested)
        except NoProgramError:
            if self._stop.reason:  # a stop ends building early
                return False
            raise
        self._ready |= chunk.sizes
        return ready

    def _looked(self) -> Iterator[_Chunk]:
        left, suspects = len(self._tasks), self._under_way.suspects
        last = [task for task in self._tasks if task.name in suspects]
        first = [task for task in self._tasks if task.name not in suspects] if last else self._tasks
        for tasks in chain(_chunks(first), _chunks(last)):
            left -= len(tasks)
            yield _Chunk(each(tasks, self._look, _LOOKING, self._ended), left)

    def _ended(self) -> bool:
        return self._over or bool(self._stop.reason)

    def _look(self, task: Task) -> Union[Entry, Todo]:
        started, sha256 = time.perf_counter(), ""
        under_way = self._under_way
        try:
            file = ImageFile.read(task.image)
            read_ms, sha256 = (time.perf_counter() - started) * 1e3, file.sha256
            foreseen = self._engine.foreseen(file.header)
            found = self._outputs.look(task, file, foreseen)
            if isinstance(found, str) and task.name in under_way.guilty:
                size_px = file.header.width_px, file.header.height_px
                reason = under_way.reason(size_px, self._room.needed_bytes(file.header))
                settings = self._outputs.settings(task, foreseen)
                return Entry(task.name, FAILED, sha256, settings, reason=reason)
        except Exception as error:  # an image must not stop the others
            found = _failure(task, error, sha256, None)
        if isinstance(found, str):
            return Todo(task, file, foreseen, found, read_ms)
        under_way.clear(task.name)
        return found

    def _finished(self, item: Todo) -> Optional[Entry]:
        """Work on an image; None leaves it to the next run, if no core is in service."""
        name, header = item.task.name, item.file.header
        with self._room.taken(header, alone=name in self._under_way.suspects):
            if self._ended():  # meanwhile
                return None
            with self._under_way.named(name):
                return self._tried(item)

    def _tried(self, item: Todo) -> Optional[Entry]:
        try:
            return self._one(item)
        except OutOfServiceError as error:
            self.report.restart |= isinstance(error, RestartError)
            self._stop.request(str(error))
            return None
        except Exception as error:  # as above
            foreseen = self._engine.foreseen(item.file.header)
            settings = self._outputs.settings(item.task, foreseen)
            return _failure(item.task, error, item.file.sha256, settings)

    def _one(self, item: Todo) -> Entry:
        started = time.perf_counter()
        prepared = self._engine.prepare(decode(item.file, self._needed), size=item.foreseen.size)
        read_ms = item.read_ms + (time.perf_counter() - started) * 1e3
        raw = self._engine.run(prepared)
        started = time.perf_counter()
        result = self._engine.finish(raw)
        written = self._outputs.write(item.task, prepared.source, result)
        write_ms = (time.perf_counter() - started) * 1e3
        timing_ms = {
            "read": round(read_ms, 1),
            "wait": round(raw.wait_ms, 1),
            "network": round(raw.network_ms, 1),
            "write": round(write_ms, 1),
        }
        return Entry(
            item.task.name,
            DONE,
            prepared.source.sha256,
            written.settings,
            written.outputs,
            notes=prepared.source.notes,
            timing_ms=timing_ms,
            fit=written.fit,
        )


def _failure(task: Task, error: Exception, sha256: str, settings: Optional[Settings]) -> Entry:
    if not isinstance(error, (DepthAnythingError, ServeError)):
        logger.error("%s: unexpected error", task.name, exc_info=error)
    return Entry(task.name, FAILED, sha256, settings, reason=str(error) or repr(error))


def _chunks(tasks: Sequence[Task]) -> Iterator[list[Task]]:
    """The tasks in order, in groups of CHUNK_BYTES or of one larger file."""
    chunk: list[Task] = []
    total_bytes = 0
    for task in tasks:
        size_bytes = _size_bytes(task.image)
        if chunk and total_bytes + size_bytes > CHUNK_BYTES:
            yield chunk
            chunk, total_bytes = [], 0
        chunk.append(task)
        total_bytes += size_bytes
    if chunk:
        yield chunk


def _size_bytes(path: Path) -> int:
    """Size of an image file; 0 for a file that will not be read."""
    with suppress(OSError):
        found = path.stat().st_size
        return found if found <= MAX_FILE_BYTES else 0
    return 0
