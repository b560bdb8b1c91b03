"""End to end: a folder of images to depth files in a temporary folder, as `serve folder` does."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Callable

from serve.engine import Engine
from serve.errors import RuntimeFailure
from serve.folder.job import run_folder
from serve.folder.request import FolderJob
from serve.jobs.entry import DONE, Entry
from serve.library import Library
from serve.shapes import BUCKETS


@contextmanager
def folder_measure(library: Library, images: Path) -> Iterator[Callable[[], float]]:
    """What measures seconds per image, of whole folders, each time it is called.

    Reading, resizing, the network, resizing back and writing 16-bit PNG files count; loading a
    program counts the first time. Raises RuntimeFailure if an image fails: a time that leaves
    work out compares with nothing.
    """

    def measure() -> float:
        entries: list[Entry] = []
        with tempfile.TemporaryDirectory() as output:
            started = time.perf_counter()
            run_folder(
                engine, FolderJob(images, Path(output)), lambda entry, _: entries.append(entry)
            )
            wall_s = time.perf_counter() - started
        for entry in entries:
            if entry.status != DONE:
                raise RuntimeFailure(
                    f"{images / entry.image}: {entry.reason or entry.status}; measure with "
                    "images that can be read"
                )
        return wall_s / len(entries)

    with Engine(library, BUCKETS) as engine:
        yield measure
