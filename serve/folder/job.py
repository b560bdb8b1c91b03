"""The folder job: every image in a folder to depth files in another, and a manifest.

An image whose outputs are already there, whole and made in the same way from the same bytes, is
kept: the .json among them, written last, is the record of what they are. The manifest tells what
happened to every image, and remembers failures.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from datetime import datetime, timezone
from typing import Optional

from depth.family import DEPTH
from serve.engine import Engine
from serve.errors import NoImagesError
from serve.folder.inputs import check_apart, images_in
from serve.folder.manifest import JobManifest, manifest_in
from serve.folder.names import output_bases
from serve.folder.outputs import FolderOutputs
from serve.folder.request import FolderJob
from serve.jobs.batch import Batch, Task
from serve.jobs.entry import DONE, KEPT, Entry, OnEntry, Report
from serve.jobs.stop import Stop


def run_folder(
    engine: Engine,
    job: FolderJob,
    on_entry: OnEntry = lambda *_: None,
    stop: Optional[Stop] = None,
) -> Report:
    """Run the job; its manifest grows as images are finished, and `on_entry` gets every entry.

    Raises NoImagesError if there is nothing to do, InputError if an image would be replaced,
    ManifestError if the manifest cannot be kept, and what the library raises if programs for the
    images cannot be had. Failures of single images are entries.
    """
    job = replace(job, maps=tuple(job.maps) or _maps_of(engine))
    tasks = _tasks(job)
    with manifest_in(job.output, writable=not job.dry_run) as manifest:
        outputs = FolderOutputs(engine, job, manifest)
        batch = Batch(engine, tasks, outputs, stop, job.fail_fast, job.dry_run)
        with closing(batch.run()) as entries:
            for entry in entries:
                if not job.dry_run:
                    _record(manifest, entry)
                on_entry(entry, batch.report.total)
    return batch.report


def _maps_of(engine: Engine) -> tuple[str, ...]:
    """The maps of every result, so far as there is an artifact that tells."""
    if not engine.library.sizes:
        return (DEPTH,)
    return tuple(output.name for output in engine.library.any_artifact().manifest.outputs)


def _record(manifest: JobManifest, entry: Entry) -> None:
    """Append what became of an image, unless the manifest says it already."""
    now = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
    line = replace(entry, status=DONE if entry.status == KEPT else entry.status, finished=now)
    last = None if entry.status == DONE else manifest.find(entry.image)
    if last is None or _said(last) != _said(line):
        manifest.append(line)


def _said(entry: Entry) -> object:
    return entry.status, entry.sha256, entry.settings, entry.reason


def _tasks(job: FolderJob) -> list[Task]:
    images = images_in(job.input, job.output)
    if not images:
        raise NoImagesError(
            f"{job.input}: no images in it; put some there, or name another --input"
        )
    relative = [image.relative_to(job.input) for image in images]
    bases = output_bases(relative, job.names)
    stems = [job.output / base for base in bases]
    check_apart(images, (stem.with_name(name) for stem in stems for name in job.names(stem.name)))
    return [
        Task(image, path.as_posix(), stem) for image, path, stem in zip(images, relative, stems)
    ]
