"""The folder job: every image in a folder to depth files in another, and a manifest.

A rerun keeps the outputs of an image if they are whole and made in the same way from the same
bytes. The manifest records the fate of every image, and remembers failures.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from datetime import datetime, timezone
from functools import partial
from typing import Optional

from depth.family import DEPTH
from depth.files import remove_left_over
from depth.maps.files import output_names
from serve.engine import Engine
from serve.errors import ManifestError, NoImagesError
from serve.folder.inputs import NamesFor, check_apart, images_of, unique_stems
from serve.folder.manifest import JobManifest, manifest_in
from serve.folder.outputs import FolderOutputs
from serve.folder.request import FolderJob
from serve.jobs.batch import Batch
from serve.jobs.entry import DONE, KEPT, Entry, OnEntry, Report, Task
from serve.jobs.stop import Stop


def run_folder(
    engine: Engine,
    job: FolderJob,
    on_entry: OnEntry = lambda *_: None,
    stop: Optional[Stop] = None,
) -> Report:
    """Run the job. The manifest grows as images are finished, and `on_entry` gets every entry.

    Raises NoImagesError if there is nothing to do, InputError if an image would be replaced,
    ManifestError if the manifest cannot be opened, or not be kept to the end, and the library's
    errors if it has no programs for the images. A failure of a single image is an entry. A manifest
    that cannot be kept ends the job early, and so does a full disk: the report says so.
    """
    stop = stop or Stop()
    job = replace(job, maps=tuple(job.maps) or _maps_of(engine))
    names_for = partial(output_names, formats=job.formats, preview=job.preview, maps=job.maps)
    tasks = _tasks(job, names_for)
    refused: Optional[ManifestError] = None
    with manifest_in(job.output, writable=not job.dry_run) as manifest:
        if not job.dry_run:
            remove_left_over({task.stem.parent for task in tasks})
        outputs = FolderOutputs(job, names_for, manifest.failed)
        batch = Batch(engine, tasks, outputs, stop, job.fail_fast, job.dry_run)
        with closing(batch.run()) as entries:
            for entry in entries:
                try:
                    if not job.dry_run:
                        _record(manifest, entry)
                except ManifestError as error:  # a rerun records it
                    stop.request(str(error))
                    refused = error
                on_entry(entry, batch.report.total)
    if refused and not batch.report.left:
        raise refused
    return batch.report


def _maps_of(engine: Engine) -> tuple[str, ...]:
    """Names of the maps of every result, by the engine's artifacts; depth if there are none."""
    if not engine.library.sizes:
        return (DEPTH,)
    return tuple(output.name for output in engine.library.any_artifact().manifest.outputs)


def _record(manifest: JobManifest, entry: Entry) -> None:
    """Append an image's entry, unless the manifest has the same already."""
    now = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
    line = replace(entry, status=DONE if entry.status == KEPT else entry.status, finished=now)
    last = None if entry.status == DONE else manifest.find(entry.image)
    if last is None or _said(last) != _said(line):
        manifest.append(line)


def _said(entry: Entry) -> object:
    return entry.status, entry.sha256, entry.settings, entry.reason


def _tasks(job: FolderJob, names_for: NamesFor) -> list[Task]:
    folder, images, beside = images_of(job.input, job.output)
    if not images:
        raise NoImagesError(
            f"{job.input}: no images in it; put some there, or name another --input"
        )
    paths = [image.relative_to(folder) for image in images]
    named = unique_stems([*paths, *beside], names_for)
    stems = [job.output / stem for stem in named[: len(paths)]]
    check_apart(images, (stem.with_name(name) for stem in stems for name in names_for(stem.name)))
    return [Task(image, path.as_posix(), stem) for image, path, stem in zip(images, paths, stems)]
