"""The outputs of a folder job: which files of an earlier run stay, and the files of a result.

The .json of an image is written last and describes the other files.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path
from threading import Lock
from typing import Any, Optional, Union

from depth.errors import DepthAnythingError, DepthFileError, FitError
from depth.family import DEPTH, FOCAL_NORMALISED
from depth.files import is_full
from depth.images.header import ImageHeader
from depth.images.read import ImageFile, SourceImage, decode
from depth.maps.files import (
    add_preview,
    not_whole,
    read_sidecar,
)
from depth.maps.meta import Sidecar
from depth.maps.result import Result
from depth.presets.files import save_result
from depth.presets.shot import Shot, preset_setting
from depth.sizes import size_text
from depth.steps.focal import NOTHING_ASKED, FocalAsked
from serve.engine import Foreseen
from serve.errors import DiskFullError
from serve.folder.earlier import remember
from serve.folder.manifest import JobManifest
from serve.folder.request import FolderJob
from serve.jobs.entry import FAILED, KEPT, Entry, Settings, Task, Written
from serve.jobs.stems import NamesFor

logger = logging.getLogger(__name__)


class FolderOutputs:
    """Depth files in the job's output folder.

    manifest  of the job: images that failed in an earlier run, and files of earlier runs
    asked     what the user says of the camera of every image
    """

    def __init__(
        self,
        job: FolderJob,
        names_for: NamesFor,
        manifest: JobManifest,
        asked: FocalAsked = NOTHING_ASKED,
    ) -> None:
        self._job = job
        self._asked = asked
        formats, preset = tuple(sorted(job.formats)), preset_setting(job.preset, asked)
        self._settings = Settings(formats, job.preview, job.remark, None, None, preset=preset)
        self._names_for = names_for
        self._manifest = manifest
        self._drawing = Lock()
        self._warning = Lock()
        self._warned = False

    def look(self, task: Task, file: ImageFile, foreseen: Foreseen) -> Union[Entry, str]:
        """The entry of an image that needs nothing, else why it has to be done."""
        job, settings = self._job, self._checked_settings(task, foreseen)
        *names, name = self._names_for(task.stem.name)
        if job.preview:
            names.pop()  # which can be drawn again
        path = task.stem.parent / name
        sidecar: Optional[Sidecar] = None
        reason = "no result yet"
        try:
            sidecar = read_sidecar(path)
        except DepthFileError as error:
            if os.path.lexists(path):  # unlike Path.exists it takes a name that is too long
                reason = f"{path.name} cannot be used: {error}"
        other = sidecar.provenance.model if sidecar and job.stand_in else ""
        if other not in ("", job.stand_in):
            reason = f"has a result of {other}, which {job.stand_in} does not replace"
            return Entry(task.name, FAILED, file.sha256, settings, reason=reason)
        if settings.provenance is None:
            return f"its program {size_text(foreseen.size)} is not made yet"
        if sidecar is not None:
            reason = _stale(file, sidecar, path, names, job.maps, settings)
        if sidecar is not None and not reason and _lacks_preview(sidecar, path.parent, job.preview):
            sidecar, reason = self._with_preview(file, path, sidecar)
        if sidecar is not None and not reason:
            kept = dict.fromkeys([*names, *sidecar.files, name])
            sizes_bytes = self._sizes_bytes(path.parent / each for each in kept)
            return Entry(task.name, KEPT, file.sha256, settings, sizes_bytes, fit=sidecar.fit)
        last = self._manifest.failed.get(task.name)
        if last is None or not _same(last.settings, settings):
            return reason
        if job.retry_failed or last.sha256 != file.sha256:
            return f"failed before: {last.reason}"
        return Entry(task.name, FAILED, file.sha256, settings, reason=last.reason)

    def write(self, task: Task, source: SourceImage, result: Result) -> Written:
        """Write the files of an image. Raises DiskFullError, which ends the job."""
        facts, job = self._source(task, source), self._job
        if job.fit is not None:
            result = job.fit.fitted(result, task.name, source.header)
        if result.maps[DEPTH].kind == FOCAL_NORMALISED:
            self._warn(task)
        known = {"asked": self._asked, "exif_focal": source.header.focal_px}
        shot = Shot.of(facts, pixels=source.pixels, **known)
        folder = task.stem.parent.relative_to(job.output)
        names = [(folder / name).as_posix() for name in self._names_for(task.stem.name)]
        remember(self._manifest, task.name, names)
        with full_disk_ends():
            written = save_result(
                result, task.stem, job.formats, facts, job.preview, job.preset, shot
            )
        made = replace(
            self._settings,
            provenance=result.provenance,
            focal=result.focal,
            fit=result.fit and result.fit.basis,
        )
        return Written(self._sizes_bytes(written), made, result.fit)

    def settings(self, task: Task, foreseen: Foreseen) -> Settings:
        """As `_checked_settings`, without a fit if the reference has nothing for the image."""
        with suppress(FitError):
            return self._checked_settings(task, foreseen)
        return replace(self._settings, provenance=foreseen.provenance, focal=foreseen.focal)

    def _checked_settings(self, task: Task, foreseen: Foreseen) -> Settings:
        """The settings that a result of this image depends on, besides the image's bytes.

        Raises FitError if the reference has nothing for the image.
        """
        fit = None if self._job.fit is None else self._job.fit.basis(task.name)
        return replace(
            self._settings, provenance=foreseen.provenance, focal=foreseen.focal, fit=fit
        )

    def _with_preview(self, file: ImageFile, path: Path, sidecar: Sidecar) -> tuple[Sidecar, str]:
        """The .json with a preview drawn from the stored depth, and why there is none, or ""."""
        if self._job.dry_run:
            return sidecar, "its preview is missing; its depth stays as it is"
        from depth.maps.thumbnail import reduced

        try:
            with self._drawing:  # a whole depth map is in memory: one at a time
                return add_preview(path, reduced(decode(file, _panel_px).pixels)), ""
        except DepthAnythingError as error:
            return sidecar, f"its preview cannot be drawn: {error}"

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
            **({"stand_in": self._job.stand_in} if self._job.stand_in else {}),
        }

    def _sizes_bytes(self, paths: Iterable[Path]) -> dict[str, int]:
        output = self._job.output
        return {path.relative_to(output).as_posix(): path.stat().st_size for path in paths}


@contextmanager
def full_disk_ends() -> Iterator[None]:
    """Turns an error of a full disk into DiskFullError: no other image could be written either."""
    try:
        yield
    except DepthFileError as error:
        if is_full(error):
            raise DiskFullError(f"a full disk ({error})") from error
        raise


def _panel_px(header: ImageHeader) -> tuple[int, int]:
    from depth.maps.thumbnail import panel_px

    return panel_px(header.height_px, header.width_px)


def _lacks_preview(sidecar: Sidecar, folder: Path, wanted: bool) -> bool:
    """Whether there is no whole preview where there should be: if `wanted`, or if it is listed."""
    if sidecar.preview is None:
        return wanted
    return bool(not_whole(replace(sidecar, maps={}), folder, ()))


def _same(last: Optional[Settings], settings: Settings) -> bool:
    """Whether these are the settings of the last time. A failure does not depend on previews."""
    return last is not None and replace(last, preview=settings.preview) == settings


def _stale(
    file: ImageFile,
    sidecar: Sidecar,
    path: Path,
    names: Sequence[str],
    maps: Sequence[str],
    settings: Settings,
) -> str:
    """Why the outputs of an image cannot stay, or "" if they can.

    path   of the .json, whose content is `sidecar`
    names  of the other files that are asked for, but the preview; there may be more
    maps   names of the maps of a result
    """
    sidecar = replace(sidecar, preview=None)  # which is drawn again from the others
    reason = _other_settings(sidecar, maps, settings)
    if not reason and sidecar.source.get("sha256") != file.sha256:
        reason = "the image changed"
    if not reason:  # reads every file, so the last
        damaged = not_whole(sidecar, path.parent, names)
        reason = f"{damaged} is missing or not whole" if damaged else ""
    return reason


def _other_settings(sidecar: Sidecar, maps: Sequence[str], settings: Settings) -> str:
    if settings.provenance is None:
        return "its program is not made yet"
    found = asdict(sidecar.provenance)
    wanted = asdict(settings.provenance)
    other = [name for name, value in wanted.items() if found[name] != value]
    if sidecar.focal != settings.focal and "steps" not in other:
        other.append("focal length")
    if (sidecar.fit and sidecar.fit.basis) != settings.fit:
        other.append("measured depth, or another way to fit it")
    if other:
        return f"made with other {', '.join(other)}"
    if set(sidecar.maps) != set(maps):
        return "made of other maps"
    lacking = any(set(settings.formats) - set(listed.files) for listed in sidecar.maps.values())
    if lacking:
        return "made in other formats"
    listed = sidecar.preset
    if (listed.setting if listed else "") != settings.preset:
        return "made for another preset, or with another camera for it"
    notes = sidecar.source.get("notes")
    if settings.remark and not (isinstance(notes, list) and settings.remark in notes):
        return "made with another remark"
    return ""
