"""The folder job: every image in a folder to depth files in another, and a report.

Nothing is lost: an image that fails is named with its reason and does not stop the others; an
image whose outputs are already there, complete and made in the same way, is kept.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Callable, Optional

from depth_anything_v2.digest import sha256_file
from depth_anything_v2.errors import DepthAnythingError
from depth_anything_v2.image import SourceImage, list_images, read_header, read_image
from serve.depth_files import output_names, read_sidecar, write_depth
from serve.engine import Engine, Outcome, Raw, overlapped
from serve.errors import DepthFileError, ServeError
from serve.library import Size
from serve.names import output_bases

logger = logging.getLogger(__name__)

REPORT = "depth-report.jsonl"  # no output of an image can have this name
DONE, KEPT, FAILED = "done", "kept", "failed"


@dataclass(frozen=True)
class FolderJob:
    input: Path
    output: Path
    formats: Sequence[str] = ("png",)
    preview: bool = False
    remark: str = ""  # goes into every result's JSON


@dataclass(frozen=True)
class Entry:
    """One line of the report."""

    image: str  # path inside the input folder
    status: str  # done, kept or failed
    outputs: tuple[str, ...] = ()  # paths inside the output folder
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
        """0 all done, 1 nothing done although something was to do, 3 partly done."""
        failed = self.count(FAILED)
        return 0 if not failed else 1 if failed == len(self.entries) else 3


@dataclass(frozen=True)
class _Task:
    image: Path
    name: str  # path inside the input folder
    base: PurePosixPath  # path inside the output folder, less suffixes


def run_folder(
    engine: Engine, job: FolderJob, on_entry: Callable[[Entry, int], None] = lambda *_: None
) -> Report:
    """Run the job; `on_entry` is called with every entry as it is done and the number of images.

    Raises DepthFileError if the input folder holds no image, and what the library raises if
    programs for its images cannot be had. Failures of single images are in the report, which is
    also written to the output folder.
    """
    started = time.perf_counter()
    tasks = _tasks(job)
    report = Report()

    def add(entry: Entry) -> None:
        report.entries.append(entry)
        on_entry(entry, len(tasks))

    ready: list[tuple[Size, _Task]] = []
    for task in tasks:
        try:
            header = read_header(task.image)
            ready.append((engine.size_for(header.height_px, header.width_px), task))
        except DepthAnythingError as error:
            add(Entry(task.name, FAILED, reason=str(error)))
    engine.library.prepare(size for size, _ in ready)
    todo = []
    # By size, so that each program is loaded once.
    for size, task in sorted(ready, key=lambda pair: pair[0]):
        kept = _kept(engine, job, task, size)
        if kept:
            add(kept)
        else:
            todo.append(task)
    for entry in _process(engine, job, todo):
        add(entry)
    report.wall_s = time.perf_counter() - started
    write_report(job.output, report)
    return report


def write_report(folder: Path, report: Report) -> None:
    """One JSON line per image, in the order of their names."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(asdict(e)) for e in sorted(report.entries, key=lambda e: e.image)]
    temporary = folder / f".{REPORT}.tmp"
    temporary.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    temporary.replace(folder / REPORT)


def _tasks(job: FolderJob) -> list[_Task]:
    images = list_images(job.input)
    if not images:
        raise DepthFileError(f"{job.input}: no images in it; put some there, or name a folder with --input")
    relative = [image.relative_to(job.input) for image in images]
    bases = output_bases(relative, lambda name: output_names(name, job.formats, job.preview))
    return [
        _Task(image, path.as_posix(), base) for image, path, base in zip(images, relative, bases)
    ]


def _process(engine: Engine, job: FolderJob, todo: Sequence[_Task]) -> Iterator[Entry]:
    def load(task: _Task) -> SourceImage:
        return read_image(task.image)

    def store(task: _Task, raw: Raw) -> Entry:
        source = raw.prepared.source
        written = write_depth(
            engine.finish(raw), job.output / task.base, job.formats, _source(job, task, source), job.preview
        )
        outputs = tuple(path.relative_to(job.output).as_posix() for path in written)
        return Entry(task.name, DONE, outputs, "", source.notes, round(raw.network_ms, 1))

    for outcome in overlapped(engine, todo, load, store):
        yield outcome.result or _failed(outcome)


def _failed(outcome: Outcome[_Task, Entry]) -> Entry:
    if not isinstance(outcome.error, (DepthAnythingError, ServeError)):
        logger.error("%s: unexpected error", outcome.key.name, exc_info=outcome.error)
    return Entry(outcome.key.name, FAILED, reason=f"{outcome.error}" or repr(outcome.error))


def _source(job: FolderJob, task: _Task, source: SourceImage) -> dict[str, Any]:
    """What a result's JSON says about its image."""
    return {
        "path": task.name,
        "sha256": source.sha256,
        "width_px": source.header.width_px,
        "height_px": source.header.height_px,
        "notes": [*source.notes, *([job.remark] if job.remark else [])],
    }


def _kept(engine: Engine, job: FolderJob, task: _Task, size: Size) -> Optional[Entry]:
    """An entry if the outputs are there, whole, of these bytes, and made in this way."""
    stem = job.output / task.base
    names = output_names(stem.name, job.formats, job.preview)
    try:
        meta = read_sidecar(stem.with_name(names[-1]))
    except DepthFileError:
        return None
    made_by, expected = meta["provenance"], asdict(engine.provenance(size))
    listed = {entry["name"]: entry["bytes"] for entry in meta["files"].values()}
    paths = [stem.with_name(name) for name in names]
    if (
        any(made_by.get(key) != value for key, value in expected.items())
        or any(listed.get(path.name) != _size_bytes(path) for path in paths[:-1])
        or meta["source"].get("sha256") != sha256_file(task.image)
    ):
        return None
    return Entry(task.name, KEPT, tuple(p.relative_to(job.output).as_posix() for p in paths))


def _size_bytes(path: Path) -> int:
    return path.stat().st_size if path.is_file() else -1
