"""The file that a preset has for all images of a folder job."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Optional

from depth.errors import DepthFileError
from depth.files import sha256_bytes
from depth.maps.files import read_sidecar
from depth.maps.names import sidecar_in
from depth.presets.summary import Done
from serve.errors import ManifestError
from serve.folder.manifest import JobManifest, Unlisted
from serve.folder.request import FolderJob
from serve.jobs.entry import DONE
from serve.jobs.preset import write_file_of_all


def write_summary(report: JobManifest, job: FolderJob) -> None:
    """Write the preset's file for all images that are done. Raises ManifestError."""
    write_noted(_done(report, job.output), report, job)


def write_noted(done: Iterable[Done], report: JobManifest, job: FolderJob) -> Optional[Path]:
    """The same of these images; returns its path, or None where there is none."""
    try:
        written = write_file_of_all(job.preset, done, job.output)
    except DepthFileError as error:
        raise ManifestError(str(error)) from error
    if written is None:
        return None
    name, data = written
    file = Unlisted(len(data), sha256_bytes(data))
    if report.unlisted().get(name) != file:
        report.note_unlisted({name: file})
    return job.output / name


def _done(report: JobManifest, folder: Path) -> Iterator[Done]:
    """The images of a report whose .json names a preset."""
    for image in report.images:
        entry = report.find(image)
        beside = sidecar_in(entry.outputs) if entry and entry.status == DONE else None
        if beside is not None:
            with suppress(DepthFileError):
                listed = read_sidecar(folder / beside).preset
                if listed is not None:
                    yield Done(image, PurePosixPath(beside).parent, listed)
