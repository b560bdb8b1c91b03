"""End to end: a folder of images to depth files in a temporary folder, by the batch of all jobs."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Callable

from depth.images.listing import list_images
from depth.images.read import ImageFile, SourceImage
from depth.maps.files import write_result
from depth.maps.result import Result
from serve.engine import Engine, Foreseen
from serve.errors import ProgramError
from serve.jobs.batch import Batch
from serve.jobs.entry import DONE, Task, Written
from serve.library import Library
from serve.shapes import BUCKETS


@contextmanager
def folder_measure(library: Library, images: Path) -> Iterator[Callable[[], float]]:
    """What measures seconds per image, of whole folders, each time it is called.

    Reading, resizing, the network, resizing back and writing 16-bit PNG files count; loading a
    program counts the first time. Raises ProgramError if an image fails: a time that leaves
    work out compares with nothing.
    """

    def measure() -> float:
        with tempfile.TemporaryDirectory() as output:
            started = time.perf_counter()
            paths = list_images(images)
            tasks = [Task(path, str(path), Path(output, str(i))) for i, path in enumerate(paths)]
            entries = list(Batch(engine, tasks, _Files()).run())
            wall_s = time.perf_counter() - started
        for entry in entries:
            if entry.status != DONE:
                raise ProgramError(
                    f"{entry.image}: {entry.reason or entry.status}; measure with images that can "
                    "be read"
                )
        return wall_s / len(entries)

    with Engine(library, BUCKETS) as engine:
        yield measure


class _Files:
    """Depth files of every image, whatever is there."""

    def look(self, _task: Task, _file: ImageFile, _foreseen: Foreseen) -> str:
        return "to be measured"

    def write(self, task: Task, source: SourceImage, result: Result) -> Written:
        facts = {"path": task.name, "sha256": source.sha256}
        paths = write_result(result, task.stem, ["png"], facts)
        return Written({path.name: path.stat().st_size for path in paths})

    def settings(self, _task: Task, _foreseen: Foreseen) -> None:
        return None
