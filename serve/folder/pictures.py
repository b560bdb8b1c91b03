"""Upstream's pictures: what its run.py writes, made by a compiled program."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from io import StringIO
from itertools import chain, count
from pathlib import Path, PurePath
from typing import Any, Optional

import cv2
import numpy as np
import numpy.typing as npt

from depth.errors import DepthFileError, InputError
from depth.files import read_text, remove_left_over, write_set
from depth.images.listing import Listing, by_extension
from depth.images.read import ImageFile, SourceImage
from depth.maps import png
from depth.maps.preview import WARM_LAST, upstream_levels
from depth.maps.result import Result
from serve.engine import Engine, Foreseen
from serve.folder.inputs import check_apart, images_in, no_images, unique_stems
from serve.folder.outputs import full_disk_ends
from serve.jobs.batch import Batch
from serve.jobs.entry import OnEntry, Report, Task, Written
from serve.jobs.memory import Room
from serve.jobs.stop import Stop

_MAX_LIST_BYTES = 100_000_000
_GAP_PX = 50  # white, between the photograph and its depth
_FILES = 7  # of an image's size, that take as much memory as a picture while it is made


@dataclass(frozen=True)
class PictureJob:
    """The options of upstream's run.py. Every picture is made, also if there is one already."""

    img_path: Path  # an image, a text file with one path per line, or a folder
    outdir: Path
    pred_only: bool  # without the photograph at the left
    grayscale: bool

    def look(self, _task: Task, _file: ImageFile, _foreseen: Foreseen) -> str:
        return "asked for"

    def write(self, task: Task, source: SourceImage, result: Result) -> Written:
        path = _picture_path(task.stem)
        pixels = _picture(self, source.pixels, upstream_levels(result.depth.values))
        return Written({path.name: _write(path, pixels)})

    def settings(self, _task: Task, _foreseen: Foreseen) -> None:
        return None


def run_pictures(
    engine: Engine, job: PictureJob, on_entry: OnEntry, stop: Optional[Stop] = None
) -> Report:
    """One PNG per image in one flat folder, as upstream names them.

    Images of the same name keep their extension, or the folder they come from, in the picture's
    name; upstream overwrites one with the other. Raises NoImagesError if there is nothing to do,
    InputError if a list of images cannot be read or a picture would replace one of them.
    """
    tasks, left_out = _tasks(job)
    remove_left_over([job.outdir])
    batch = Batch(engine, tasks, job, stop, room=Room(files=_FILES))
    batch.report.left_out = left_out
    with closing(batch.run()) as entries:
        for entry in entries:
            on_entry(entry, batch.report.total)
    return batch.report


def _tasks(job: PictureJob) -> tuple[list[Task], dict[str, int]]:
    """The images, and how many other files of each extension are in the folder."""
    found = _found(job)
    images = list(dict.fromkeys(found.images))
    if not images:
        raise no_images(job.img_path, found.others, "--img-path")
    stems = [job.outdir / name for name in _flat_names(images, job.img_path)]
    check_apart(images, map(_picture_path, stems))
    tasks = [Task(image, str(image), stem) for image, stem in zip(images, stems)]
    return tasks, by_extension(found.others)


def _found(job: PictureJob) -> Listing:
    if job.img_path.is_dir():
        return images_in(job.img_path, job.outdir)
    if job.img_path.suffix != ".txt":
        return Listing([job.img_path], [])
    try:
        text = read_text(job.img_path, _MAX_LIST_BYTES)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{job.img_path}: cannot be read as a list of images: {error}") from error
    lines = StringIO(text, newline=None)  # unlike str.splitlines, it takes only ends of lines
    return Listing([Path(line.strip()) for line in lines if line.strip()], [])


def _picture_path(stem: Path) -> Path:
    return stem.with_name(f"{stem.name}.png")


def _flat_names(images: Sequence[Path], root: Path) -> list[str]:
    flat = [image.name for image in images]
    if len(set(flat)) < len(flat):  # same names in several folders
        inside = [image.relative_to(root) if root in image.parents else image for image in images]
        flat = _distinct("_".join(p for p in path.parts if p not in ("/", "..")) for path in inside)
    return list(map(str, unique_stems(list(map(PurePath, flat)), lambda name: [name + ".png"])))


def _distinct(names: Iterable[str]) -> list[str]:
    """Number names that repeat: a/b_c.jpg and a_b/c.jpg would both be a_b_c.jpg."""
    found: dict[str, str] = {}  # by name in lower case, since some file systems ignore case
    for name in names:
        stem, dot, suffix = name.rpartition(".")
        numbered = (f"{stem}-{number}{dot}{suffix}" for number in count(2))
        free = next(new for new in chain([name], numbered) if new.casefold() not in found)
        found[free.casefold()] = free
    return list(found.values())


def _picture(
    job: PictureJob, pixels: npt.NDArray[np.uint8], levels: npt.NDArray[np.uint8]
) -> npt.NDArray[Any]:
    depth = cv2.cvtColor(levels, cv2.COLOR_GRAY2BGR)
    if not job.grayscale:
        depth = cv2.applyColorMap(levels, WARM_LAST)
    if job.pred_only:
        return depth
    gap = np.full((pixels.shape[0], _GAP_PX, 3), 255, np.uint8)
    return np.hstack([pixels, gap, depth])


def _write(path: Path, pixels: npt.NDArray[Any]) -> int:
    """Write a PNG file; returns its size in bytes. Raises DepthFileError and DiskFullError."""
    data = png.encode(pixels)
    with full_disk_ends():
        try:
            write_set(path.parent, [(path.name, data)])
        except OSError as error:
            raise DepthFileError(f"{path}: cannot be written: {error}") from error
    return len(data)
