"""The outputs of a folder job: what is there already, and the depth files of a result."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path
from threading import Lock
from typing import Any, Optional, Union

from depth.artifact.steps import NAMES, MetresFromFocal
from depth.family import FOCAL_NORMALISED
from depth.images.file import ImageFile
from depth.images.header import ImageHeader
from depth.images.read import SourceImage
from depth.maps.files import write_result
from depth.maps.result import Focal, Provenance
from depth.sizes import Size, size_text
from serve.engine import Engine, Raw
from serve.folder.manifest import JobManifest
from serve.folder.request import FolderJob
from serve.folder.resume import model_of, stale
from serve.jobs.batch import Task, Written
from serve.jobs.entry import FAILED, KEPT, Entry, Settings

logger = logging.getLogger(__name__)

_BY_FOCAL = NAMES[MetresFromFocal]


class FolderOutputs:
    """Depth files in the job's output folder. The manifest is only read."""

    def __init__(self, engine: Engine, job: FolderJob, manifest: JobManifest) -> None:
        self._engine = engine
        self._job = job
        self._manifest = manifest
        self._warning = Lock()
        self._warned = False

    def look(self, task: Task, file: ImageFile, size: Size) -> Union[Entry, str]:
        """The entry of an image that needs nothing, else why it has to be done."""
        job, settings = self._job, self.settings(file.header, size)
        outputs = [task.stem.with_name(name) for name in job.names(task.stem.name)]
        other = model_of(outputs[-1]) if job.stand_in else ""
        if other not in ("", job.stand_in):
            reason = f"has a result of {other}, which {job.stand_in} does not replace"
            return Entry(task.name, FAILED, file.sha256, settings, reason=reason)
        if settings.provenance is None:
            return f"its program {size_text(size)} is not made yet"
        reason = stale(file, outputs, job.maps, settings)
        if not reason:
            return Entry(task.name, KEPT, file.sha256, settings, self._sizes_bytes(outputs))
        last = self._manifest.find(task.name)
        if last is None or last.status != FAILED or last.settings != settings:
            return reason
        if job.retry_failed or last.sha256 != file.sha256:
            return f"failed before: {last.reason}"
        return Entry(task.name, FAILED, file.sha256, settings, reason=last.reason)

    def write(self, task: Task, raw: Raw) -> Written:
        """Finish an image and write its files."""
        result = self._engine.finish(raw)
        if result.depth.kind == FOCAL_NORMALISED:
            self._warn(task)
        source = self._source(task, raw.prepared.source)
        written = write_result(result, task.stem, self._job.formats, source, self._job.preview)
        return Written(self._sizes_bytes(written), self._with(result.provenance, result.focal))

    def settings(self, header: ImageHeader, size: Size) -> Settings:
        """What a result of this image depends on besides its bytes."""
        engine = self._engine
        focal = engine.focal_of(header, size)
        made_by = engine.provenance(size, focal) if size in engine.library.sizes else None
        used = focal if made_by is not None and _BY_FOCAL in made_by.steps else None
        return self._with(made_by, used)

    def _with(self, made_by: Optional[Provenance], focal: Optional[Focal]) -> Settings:
        job = self._job
        return Settings(tuple(sorted(job.formats)), job.preview, job.remark, made_by, focal)

    def _warn(self, task: Task) -> None:
        with self._warning:
            if not self._warned:
                logger.warning(
                    "%s, and perhaps others: no focal length is known, so depth is not in metres; "
                    "give --focal-px, --fov-deg or --intrinsics",
                    task.name,
                )
            self._warned = True

    def _source(self, task: Task, source: SourceImage) -> dict[str, Any]:
        """What a result's JSON says about its image."""
        remark = self._job.remark
        return {
            "path": task.name,
            "sha256": source.sha256,
            "width_px": source.header.width_px,
            "height_px": source.header.height_px,
            "notes": [*source.notes, *([remark] if remark else [])],
        }

    def _sizes_bytes(self, paths: Iterable[Path]) -> dict[str, int]:
        output = self._job.output
        return {path.relative_to(output).as_posix(): path.stat().st_size for path in paths}
