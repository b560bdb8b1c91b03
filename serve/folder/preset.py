"""The file that a preset has for all images of a folder job."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath

from depth.errors import DepthFileError
from depth.files import sha256_bytes, write_whole
from depth.maps.files import read_sidecar
from depth.maps.names import sidecar_in
from depth.presets.summary import Done, summary_of
from depth.presets.table import preset_named
from serve.errors import ManifestError
from serve.folder.manifest import JobManifest, Unlisted
from serve.folder.request import FolderJob
from serve.jobs.entry import DONE

logger = logging.getLogger(__name__)


def write_summary(report: JobManifest, job: FolderJob) -> None:
    """Write the preset's file for all images that are done. Raises ManifestError."""
    name = preset_named(job.preset).summary if job.preset else ""
    if not name:
        return
    data = summary_of(job.preset, _done(report, job.output))
    if data is None:
        logger.warning("%s", _WITHOUT[job.preset])
        return
    try:
        write_whole(job.output / name, data)
    except OSError as error:
        raise ManifestError(f"{job.output / name}: cannot be written: {error.strerror}") from error
    file = Unlisted(len(data), sha256_bytes(data))
    if report.unlisted().get(name) != file:
        report.note_unlisted({name: file})


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


_WITHOUT = {
    "3dgs": "depth was not fitted to the COLMAP model, so there is no depth_params.json: run "
    "graphdeco's utils/make_depth_scale.py with this folder as --depths_dir, or use --fit",
    "nerfstudio": "no image is done, so there is no transforms_depth.json",
    "tum": "the names of the images are no times in seconds, so there is no depth.txt",
}
