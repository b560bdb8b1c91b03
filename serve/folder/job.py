"""The folder job: every image in a folder to depth files in another, and a manifest.

A rerun keeps the outputs of an image if they are whole and made in the same way from the same
bytes. The manifest records the fate of every image, and remembers failures.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timezone
from functools import partial
from typing import Optional

from depth.errors import InputError
from depth.family import DEPTH
from depth.files import remove_left_over
from depth.images.listing import by_extension
from depth.presets.files import result_names
from serve.engine import Engine
from serve.errors import ManifestError
from serve.folder.earlier import remember
from serve.folder.inputs import check_apart, images_of, no_images
from serve.folder.manifest import JobManifest, manifest_in
from serve.folder.outputs import FolderOutputs
from serve.folder.preset import write_summary
from serve.folder.request import FolderJob
from serve.jobs.batch import Batch
from serve.jobs.entry import DONE, KEPT, Entry, OnEntry, Report, Task
from serve.jobs.memory import Room
from serve.jobs.preset import check_preset, names_of_preset
from serve.jobs.stems import NamesFor, unique_stems
from serve.jobs.stop import Stop
from serve.jobs.under_way import under_way_in

_MOST_GB = 1e9  # more than any machine has; not inf


def run_folder(
    engine: Engine,
    job: FolderJob,
    on_entry: OnEntry = lambda *_: None,
    stop: Optional[Stop] = None,
) -> Report:
    """Run the job. The manifest grows as images are finished, and `on_entry` gets every entry.

    Raises NoImagesError if there is nothing to do, InputError if an image would be replaced, the
    memory limit is no number over 0, or the fit is of other images, ManifestError if the manifest
    cannot be opened, or not be kept to the end, and the library's errors if it has no programs for
    the images. A failure of a single image is an entry. A manifest that cannot be kept ends the job
    early, and so does a full disk: the report says so.
    """
    stop = stop or Stop()
    job = replace(job, maps=tuple(job.maps) or _maps_of(engine))
    check_preset(job.preset, engine.library, job.fit, job.kind)
    names_for = partial(
        result_names,
        formats=job.formats,
        preview=job.preview,
        maps=job.maps,
        preset=job.preset,
    )
    tasks, left_out = _tasks(job, names_for)
    if job.fit is not None:
        job.fit.reference.check([task.name for task in tasks])
    refused: Optional[ManifestError] = None
    writable, names = not job.dry_run, {task.name for task in tasks}
    with (
        manifest_in(job.output, writable) as manifest,
        under_way_in(job.output, names, writable) as under_way,
    ):
        if writable:
            remove_left_over({task.stem.parent for task in tasks})
            manifest.note_left_out(left_out)
        outputs = FolderOutputs(job, names_for, manifest, engine.focal)
        room = Room(len(names_for("")) - 1, limit_bytes(job.memory_gb))  # less the .json
        batch = Batch(engine, tasks, outputs, stop, job.fail_fast, job.dry_run, room, under_way)
        batch.report.left_out = left_out
        whole: set[str] = set()
        with closing(batch.run()) as entries:
            for entry in entries:
                try:
                    if writable:
                        record(manifest, entry)
                except ManifestError as error:  # a rerun records it
                    stop.request(str(error))
                    refused = error
                if entry.status in (DONE, KEPT):
                    whole.add(entry.image)
                on_entry(entry, batch.report.total)
        if writable:
            batch.report.gone = _gone([task for task in tasks if task.name in whole], names_for)
            write_summary(manifest, job)
    if refused and not batch.report.left:
        raise refused
    return batch.report


def _gone(tasks: Sequence[Task], names_for: NamesFor) -> int:
    """How many of these finished images lack a file by now: somebody deleted it."""
    return sum(
        not all(os.path.lexists(task.stem.parent / name) for name in names_for(task.stem.name))
        for task in tasks
    )


def limit_bytes(memory_gb: Optional[float]) -> Optional[int]:
    """The option --memory-gb in bytes. Raises InputError if it is no number over 0."""
    if memory_gb is None:
        return None
    if not 0 < memory_gb < _MOST_GB:
        raise InputError(f"--memory-gb {memory_gb:g}: expected a number of GB over 0")
    return int(memory_gb * 1e9)


def _maps_of(engine: Engine) -> tuple[str, ...]:
    """Names of the maps of every result, by the engine's artifacts; depth if there are none."""
    if not engine.library.sizes:
        return (DEPTH,)
    return tuple(output.name for output in engine.library.any_artifact().manifest.outputs)


def record(manifest: JobManifest, entry: Entry) -> None:
    """Append an image's entry, unless the manifest has the same already."""
    remember(manifest, entry.image, entry.outputs)
    now = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
    line = replace(entry, status=DONE if entry.status == KEPT else entry.status, finished=now)
    last = None if entry.status == DONE else manifest.find(entry.image)
    if last is None or _said(last) != _said(line):
        manifest.append(line)


def _said(entry: Entry) -> object:
    return entry.status, entry.sha256, entry.settings, entry.reason


def _tasks(job: FolderJob, names_for: NamesFor) -> tuple[list[Task], dict[str, int]]:
    """The images, and how many other files of each extension are there."""
    folder, found, beside = images_of(job.input, job.output)
    images = found.images
    if not images:
        raise no_images(job.input, found.others, "--input")
    paths = [image.relative_to(folder) for image in images]
    named = unique_stems([*paths, *beside], names_for, *names_of_preset(job.preset))
    stems = [job.output / stem for stem in named[: len(paths)]]
    check_apart(images, (stem.parent / name for stem in stems for name in names_for(stem.name)))
    tasks = [Task(image, path.as_posix(), stem) for image, path, stem in zip(images, paths, stems)]
    return tasks, by_extension(found.others)
