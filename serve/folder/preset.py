"""The file that a preset has for all images of a folder job."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Optional

from depth.errors import DepthFileError
from depth.files import read_regular
from depth.maps.files import read_sidecar
from depth.maps.names import sidecar_in
from depth.presets.summary import Done, summary_of
from depth.presets.table import PRESETS
from serve.errors import ManifestError
from serve.folder.manifest import JobManifest
from serve.folder.request import FolderJob
from serve.jobs.entry import DONE
from serve.jobs.preset import write_file_of_all

_MAX_BYTES = 1_000_000_000


def write_summary(report: JobManifest, job: FolderJob) -> None:
    """Write the preset's file for all images that are done. Raises ManifestError."""
    try:
        write_file_of_all(job.preset, _done(report, job.output), job.output)
    except DepthFileError as error:
        raise ManifestError(str(error)) from error


def own_summaries(report: JobManifest, folder: Path) -> list[str]:
    """The names of the unchanged summaries of ours in a folder."""
    done = list(_done(report, folder))
    names = {each.preset.name for each in done} & set(PRESETS)
    return [
        PRESETS[name].summary
        for name in sorted(names)
        if PRESETS[name].summary and _has(folder / PRESETS[name].summary, summary_of(name, done))
    ]


def _has(path: Path, data: Optional[bytes]) -> bool:
    with suppress(OSError):
        return not path.is_symlink() and read_regular(path, _MAX_BYTES) == data
    return False


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
