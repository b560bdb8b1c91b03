"""The file that a preset has for all images of a folder job."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Optional

from depth.errors import DepthFileError
from depth.files import sha256_bytes, write_whole
from depth.maps.files import read_sidecar
from depth.maps.names import sidecar_in
from depth.presets.summary import WITHOUT, Done, summary_of
from depth.presets.table import preset_named
from serve.errors import ManifestError
from serve.folder.manifest import JobManifest, Unlisted
from serve.folder.request import FolderJob
from serve.jobs.entry import DONE

logger = logging.getLogger(__name__)


def write_summary(report: JobManifest, job: FolderJob) -> None:
    """Write the preset's file for all images that are done. Raises ManifestError."""
    write_summary_of(_done(report, job.output), report, job)


def write_summary_of(done: Iterable[Done], report: JobManifest, job: FolderJob) -> Optional[Path]:
    """The same of these images; returns its path, or None where there is none."""
    name = preset_named(job.preset).summary if job.preset else ""
    if not name:
        return None
    data = summary_of(job.preset, done)
    if data is None:
        logger.warning("%s", WITHOUT[job.preset])
        return None
    try:
        write_whole(job.output / name, data)
    except OSError as error:
        raise ManifestError(f"{job.output / name}: cannot be written: {error.strerror}") from error
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
