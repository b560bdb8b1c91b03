"""The folder job: every image in a folder to depth files in another, and a manifest.

An image whose outputs are already there, whole and made in the same way from the same bytes, is
kept: the .json among them, written last, is the record of what they are. The manifest tells what
happened to every image, and remembers failures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Optional, Union

from depth.images.read import SourceImage
from depth.maps.files import output_names, read_sidecar, write_depth
from depth.sizes import size_text
from serve.engine import Engine, Raw
from serve.errors import NoImages
from serve.folder.inputs import check_apart, images_in
from serve.folder.manifest import FORMAT, JobManifest, Record, Settings, manifest_in
from serve.folder.names import output_bases
from serve.folder.resume import digest, model_of, stale
from serve.jobs.batch import DONE, FAILED, KEPT, TODO, Batch, Entry, OnEntry, Report, Task
from serve.jobs.stop import Stop
from serve.library import Size


@dataclass(frozen=True)
class FolderJob:
    input: Path
    output: Path
    formats: Sequence[str] = ("png",)
    preview: bool = False
    remark: str = ""  # goes into every result's JSON
    stand_in: str = ""  # a model in another's place: results of others are not replaced
    retry_failed: bool = True  # try images again whose bytes and settings failed before
    fail_fast: bool = False
    dry_run: bool = False  # only say what would be done

    def names(self, base: str) -> list[str]:
        """File names that a base name makes; the .json is the last."""
        return output_names(base, self.formats, self.preview)


def run_folder(
    engine: Engine,
    job: FolderJob,
    on_entry: OnEntry = lambda *_: None,
    stop: Optional[Stop] = None,
) -> Report:
    """Run the job; its manifest grows as images are finished, and `on_entry` gets every entry.

    Raises NoImages if there is nothing to do, InputError if an image would be replaced, JobError if
    the manifest cannot be kept, and what the library raises if programs for the images cannot be
    had. Failures of single images are entries.
    """
    tasks = _tasks(job)
    with manifest_in(job.output, writable=not job.dry_run) as manifest:
        log = _Log(engine, job, manifest)

        def add(entry: Entry, total: int) -> None:
            if not job.dry_run:
                log.add(entry)
            on_entry(entry, total)

        def write(task: Task, raw: Raw) -> list[Path]:
            source = _source(job, task, raw.prepared.source)
            return write_depth(engine.finish(raw), task.stem, job.formats, source, job.preview)

        batch = Batch(engine, tasks, add, stop, job.fail_fast)
        todo = batch.plan(log.check)
        if not job.dry_run:
            batch.work(todo, write)
            return batch.report
        for item in todo:
            batch.add(Entry(item.task.name, TODO, reason=item.reason, size=item.size))
        return batch.report


class _Log:
    """The manifest as one job sees it."""

    def __init__(self, engine: Engine, job: FolderJob, manifest: JobManifest) -> None:
        self._engine = engine
        self._job = job
        self._manifest = manifest

    def check(self, task: Task, size: Size) -> Union[Entry, str]:
        """The entry of an image that needs nothing, else why it has to be done."""
        settings = self._settings(size)
        outputs = [task.stem.with_name(name) for name in self._job.names(task.stem.name)]
        other = model_of(outputs[-1]) if self._job.stand_in else ""
        if other not in ("", self._job.stand_in):
            reason = f"has a result of {other}, which {self._job.stand_in} does not replace"
            return Entry(task.name, FAILED, reason=reason, sha256=digest(task.image), size=size)
        if settings.provenance is None:
            return f"its program {size_text(size)} is not made yet"
        reason = stale(task.image, outputs, settings, settings.provenance)
        if not reason:
            sha256 = read_sidecar(outputs[-1])["source"]["sha256"]
            return Entry(task.name, KEPT, tuple(map(str, outputs)), sha256=sha256, size=size)
        last = self._manifest.find(task.name)
        if last is None or last.status != FAILED or last.settings != settings:
            return reason
        if self._job.retry_failed or last.sha256 != digest(task.image):
            return f"failed before: {last.reason}"
        return Entry(task.name, FAILED, reason=last.reason, sha256=last.sha256, size=size)

    def add(self, entry: Entry) -> None:
        """Append what became of an image, unless the manifest says it already."""
        output = self._job.output
        record = Record(
            format=FORMAT,
            image=entry.image,
            status=DONE if entry.status == KEPT else entry.status,
            sha256=entry.sha256,
            settings=self._settings(entry.size),
            outputs={
                Path(path).relative_to(output).as_posix(): Path(path).stat().st_size
                for path in entry.outputs
            },
            reason=entry.reason,
            notes=entry.notes,
            timing_ms=entry.timing_ms,
            finished=datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
        )
        if entry.status == DONE or not _same(record, self._manifest.find(entry.image)):
            self._manifest.append(record)

    def _settings(self, size: Optional[Size]) -> Settings:
        """What results at a program size depend on besides the image."""
        made = size is not None and size in self._engine.library.sizes
        return Settings(
            formats=tuple(sorted(self._job.formats)),
            preview=self._job.preview,
            remark=self._job.remark,
            provenance=self._engine.provenance(size) if size is not None and made else None,
        )


def _same(record: Record, last: Optional[Record]) -> bool:
    def key(one: Record) -> object:
        return one.status, one.sha256, one.settings, one.reason

    return last is not None and key(last) == key(record)


def _tasks(job: FolderJob) -> list[Task]:
    images = images_in(job.input, job.output)
    if not images:
        raise NoImages(f"{job.input}: no images in it; put some there, or name another --input")
    relative = [image.relative_to(job.input) for image in images]
    bases = output_bases(relative, job.names)
    stems = [job.output / base for base in bases]
    check_apart(images, (stem.with_name(name) for stem in stems for name in job.names(stem.name)))
    return [
        Task(image, path.as_posix(), stem) for image, path, stem in zip(images, relative, stems)
    ]


def _source(job: FolderJob, task: Task, source: SourceImage) -> dict[str, Any]:
    """What a result's JSON says about its image."""
    return {
        "path": task.name,
        "sha256": source.sha256,
        "width_px": source.header.width_px,
        "height_px": source.header.height_px,
        "notes": [*source.notes, *([job.remark] if job.remark else [])],
    }
