"""Every image of a folder gets a mask in another, and a rerun does what is left.

A mask stays if the log says that it was made from the same bytes with the same settings, and the
file has the bytes that the log names. A mask that no job of ours wrote is never replaced unless
that is asked for.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path, PurePosixPath
from typing import Any, Optional

import numpy as np
import numpy.typing as npt

from depth.errors import DepthAnythingError, DepthFileError, InputError
from depth.files import (
    is_full,
    make_folders,
    remove_left_over,
    sha256_bytes,
    sha256_file,
    write_whole,
)
from depth.images.header import ImageHeader
from depth.images.listing import by_extension, list_folder
from depth.images.read import ImageFile, decode
from depth.maps.thumbnail import panel_px
from depth.masks.layouts import layout_named, masks_of
from depth.masks.overlay import overlay
from depth.masks.region import share_of
from depth.masks.rules import Region
from serve.errors import NoImagesError, ServeError
from serve.jobs.entry import DONE, FAILED, KEPT, TODO, Entry, OnEntry, Report
from serve.jobs.memory import Room
from serve.jobs.stop import Stop
from serve.jobs.threads import each
from serve.masks.report import Line, MaskReport, Named, report_in
from serve.masks.request import MaskJob

logger = logging.getLogger(__name__)

PREVIEWS = ".previews"  # hidden: no program takes its pictures for images
_WORKERS = 2
_FILES = 2  # of an image's size, that take as much memory as a mask while it is made


@dataclass(frozen=True)
class MaskTask:
    """An image, and where its mask goes inside the output folder."""

    name: PurePosixPath  # inside the folder of images
    mask: PurePosixPath


def run_masks(
    job: MaskJob, on_entry: OnEntry = lambda *_: None, stop: Optional[Stop] = None
) -> Report:
    """Run the job. The log grows as images are finished, and `on_entry` gets every entry.

    Raises NoImagesError if there is nothing to do, InputError if two masks would have one name,
    ManifestError if the log cannot be kept. A failure of a single image is an entry.
    """
    stop = stop or Stop()
    with report_in(job.output, writable=False) as log:
        tasks, left_out = _tasks(job, log)
    report = Report(len(tasks), left_out=left_out)
    with report_in(job.output, not job.dry_run) as log:
        if not job.dry_run:
            remove_left_over({job.output / task.mask.parent for task in tasks})
        work = _Work(job, log, Room(_FILES))
        for line in each(tasks, work.done, _WORKERS, stop.requested):
            if line.status in (DONE, FAILED) and not job.dry_run:
                now = datetime.now(timezone.utc).isoformat(timespec="seconds")
                log.append(replace(line, finished=now))
            report.counts[line.status] += 1
            if line.status == FAILED and job.fail_fast:
                stop.request("a failure")
            if work.full:
                stop.request(work.full)
            on_entry(_entry(line, job.output), report.total)
    report.stopped = stop.reason
    return report


def _tasks(job: MaskJob, log: MaskReport) -> tuple[list[MaskTask], Mapping[str, int]]:
    """The images, and how many other files of each extension are there."""
    if job.images.is_file():
        raise InputError(f"{job.images}: a file; --images names a folder of images")
    found = list_folder(job.images)
    inside = Path(os.path.realpath(job.output))
    root = Path(os.path.realpath(job.images))
    images = [path.relative_to(job.images) for path in found.images]
    if root == inside:
        images = [path for path in images if path.as_posix() not in log.masks]
    if root in inside.parents:  # masks of an earlier run are no images
        made = inside.relative_to(root)
        images = [path for path in images if made not in path.parents]
    if not images:
        raise NoImagesError(f"{job.images}: no images in it; name another folder for --images")
    names = [PurePosixPath(path.as_posix()) for path in images]
    chosen = masks_of(names, layout_named(job.layout), beside=inside == root)
    taken = {root / path for path in chosen}
    for image, mask in chosen.items():
        if inside / mask in taken:
            raise InputError(
                f"{job.output / mask}: the mask of {image} would replace an image; give another "
                "--output"
            )
    return [MaskTask(*pair) for pair in chosen.items()], by_extension(found.others)


class _Work:
    """What is done with one image. Safe in any thread.

    full  why the disk takes no more, or ""
    """

    def __init__(self, job: MaskJob, log: MaskReport, room: Room) -> None:
        self._job = job
        self._before, self._written = dict(log.lines), dict(log.masks)
        self._room = room
        self.full = ""

    def done(self, task: MaskTask) -> Line:
        """The line of an image. Never raises for a failure of the image."""
        name, sha256 = str(task.name), ""
        settings: Mapping[str, Any] = {}
        before = self._before.get(name)
        try:
            file = ImageFile.read(self._job.images / task.name)
            sha256 = file.sha256
            depth = self._job.depth if self._job.rules.any else None
            settings = self._job.settings(depth.key(task.name, file) if depth else "")
            if before is not None and self._is_kept(before, sha256, settings):
                return replace(before, status=KEPT)
            if self._job.dry_run:
                return Line(name, TODO, sha256, settings, reason="no mask of these settings yet")
            with self._room.taken(file.header):
                return self._made(task, file, settings)
        except Exception as error:  # an image must not stop the others
            if is_full(error):
                self.full = f"a full disk ({error})"
            if not isinstance(error, (DepthAnythingError, ServeError)):
                logger.error("%s: unexpected error", name, exc_info=error)
            return Line(name, FAILED, sha256, settings, reason=str(error) or repr(error))

    def _is_kept(self, before: Line, sha256: str, settings: Mapping[str, Any]) -> bool:
        if (before.status, before.sha256, before.settings) != (DONE, sha256, settings):
            return False
        wanted = [before.mask, before.preview] if self._job.preview else [before.mask]
        return all(file is not None and self._is_whole(file) for file in wanted)

    def _is_whole(self, file: Named) -> bool:
        path = PurePosixPath(file.name)
        if path.is_absolute() or ".." in path.parts:
            return False
        try:
            return sha256_file(self._job.output / path) == file.sha256
        except (OSError, ValueError):
            return False

    def _check_free(self, task: MaskTask, data: bytes) -> None:
        """Raises DepthFileError if there is another mask that no job of ours wrote.

        A killed job may have written these same bytes.
        """
        path = self._job.output / task.mask
        name = str(task.mask)
        ours = [Named(name, sha256_bytes(data)), Named(name, self._written.get(name, ""))]
        if os.path.lexists(path) and not self._job.replace and not any(map(self._is_whole, ours)):
            raise DepthFileError(
                f"{path}: is there, and is not as a job of masks wrote it; move it away, or give "
                "--replace"
            )

    def _made(self, task: MaskTask, file: ImageFile, settings: Mapping[str, Any]) -> Line:
        job, header = self._job, file.header
        pixels = None
        if job.network is not None:
            pixels = decode(file).pixels
        elif job.preview:
            pixels = decode(file, _small).pixels
        regions = dict(self._rules(task, file))
        instances: Mapping[str, int] = {}
        if job.network is not None and pixels is not None:
            found = job.network.find(pixels)
            regions["instances"], instances = found.region, found.counts
        region = job.shaping.shaped(_union(regions.values(), header))
        mask = job.shaping.encoded(region, 1 if job.upright else header.orientation)
        self._check_free(task, mask)
        preview = None
        if job.preview and pixels is not None:
            picture = PurePosixPath(PREVIEWS, f"{task.name}.jpg")
            preview = self._write(picture, overlay(pixels, region))
        return Line(
            str(task.name),
            DONE,
            file.sha256,
            settings,
            self._write(task.mask, mask),
            preview,
            round(share_of(region), 6),
            {source: round(share_of(part), 6) for source, part in regions.items()},
            instances,
        )

    def _rules(self, task: MaskTask, file: ImageFile) -> Iterator[tuple[str, Region]]:
        if self._job.depth is not None and self._job.rules.any:
            result = self._job.depth.result(task.name, file)
            size = file.header.height_px, file.header.width_px
            yield from self._job.rules.regions(result, size)

    def _write(self, name: PurePosixPath, data: bytes) -> Named:
        path = self._job.output / name
        try:
            make_folders(path.parent)
            write_whole(path, data)
        except OSError as error:
            raise DepthFileError(f"{path}: cannot be written: {error.strerror}") from error
        return Named(str(name), sha256_bytes(data))


def _small(header: ImageHeader) -> tuple[int, int]:
    return panel_px(header.height_px, header.width_px)


def _union(regions: Iterable[Region], header: ImageHeader) -> Region:
    """Where any region is; nowhere if there is none, so that every image has a mask."""
    whole: npt.NDArray[np.bool_] = np.zeros((header.height_px, header.width_px), np.bool_)
    for region in regions:
        whole |= region
    return whole


def _entry(line: Line, output: Path) -> Entry:
    """What the screen shows of an image."""
    outputs: dict[str, int] = {}
    if line.mask is not None and line.status != FAILED:
        outputs[line.mask.name] = (output / line.mask.name).stat().st_size
    return Entry(line.image, line.status, line.sha256, outputs=outputs, reason=line.reason)
