"""One file per image in one flat folder, as upstream's scripts name them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from io import StringIO
from itertools import chain, count
from pathlib import Path, PurePath
from typing import ClassVar, Optional

from depth.errors import DepthFileError, InputError
from depth.files import read_text, remove_left_over, write_set
from depth.images.listing import Listing, by_extension
from depth.images.read import ImageFile, SourceImage
from depth.maps.result import Result
from serve.engine import Engine, Foreseen
from serve.folder.inputs import check_apart, images_in, no_images
from serve.folder.outputs import full_disk_ends
from serve.jobs.batch import Batch
from serve.jobs.entry import OnEntry, Report, Task, Written
from serve.jobs.memory import Room
from serve.jobs.stems import unique_stems
from serve.jobs.stop import Stop

_MAX_LIST_BYTES = 100_000_000


@dataclass(frozen=True)
class FlatJob:
    """The paths of upstream's scripts. Every file is made, also if there is one already.

    suffix  of the files
    files   of an image's size, that take as much memory as a file while it is made
    """

    img_path: Path  # an image, a text file with one path per line, or a folder
    outdir: Path
    suffix: ClassVar[str] = ""
    files: ClassVar[int] = 0

    def encoded(self, source: SourceImage, result: Result) -> bytes:
        """The file of an image."""
        raise NotImplementedError

    def look(self, _task: Task, _file: ImageFile, _foreseen: Foreseen) -> str:
        return "asked for"

    def write(self, task: Task, source: SourceImage, result: Result) -> Written:
        path = with_suffix(task.stem, self.suffix)
        return Written({path.name: _write(path, self.encoded(source, result))})

    def settings(self, _task: Task, _foreseen: Foreseen) -> None:
        return None


def run_flat(
    engine: Engine, job: FlatJob, on_entry: OnEntry, stop: Optional[Stop] = None
) -> Report:
    """Make the file of every image.

    Images of the same name keep their extension, or the folder they come from, in the file's
    name; upstream overwrites one with the other. Raises NoImagesError if there is nothing to do,
    InputError if a list of images cannot be read or a file would replace one of them.
    """
    tasks, left_out = _tasks(job)
    remove_left_over([job.outdir])
    batch = Batch(engine, tasks, job, stop, room=Room(files=job.files))
    batch.report.left_out = left_out
    with closing(batch.run()) as entries:
        for entry in entries:
            on_entry(entry, batch.report.total)
    return batch.report


def _tasks(job: FlatJob) -> tuple[list[Task], dict[str, int]]:
    """The images, and how many other files of each extension are in the folder."""
    found = listed(job.img_path, job.outdir)
    images = list(dict.fromkeys(found.images))
    if not images:
        raise no_images(job.img_path, found.others, "--img-path")
    stems = flat_stems(images, job.img_path, job.outdir, job.suffix)
    tasks = [Task(image, str(image), stem) for image, stem in zip(images, stems)]
    return tasks, by_extension(found.others)


def listed(path: Path, outdir: Path) -> Listing:
    """The files that a path means: a file, the paths in a text file, or the files of a folder.

    Raises InputError for a list that cannot be read.
    """
    if path.is_dir():
        return images_in(path, outdir)
    if path.suffix != ".txt":
        return Listing([path], [])
    try:
        text = read_text(path, _MAX_LIST_BYTES)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as a list of files: {error}") from error
    lines = StringIO(text, newline=None)  # unlike str.splitlines, it takes only ends of lines
    return Listing([Path(line.strip()) for line in lines if line.strip()], [])


def flat_stems(files: Sequence[Path], root: Path, outdir: Path, suffix: str) -> list[Path]:
    """Where the file made of each file lies, without suffix; all in `outdir`.

    Raises InputError if a file would replace another that it is made of.
    """
    stems = [outdir / name for name in _flat_names(files, root, suffix)]
    check_apart(files, [with_suffix(stem, suffix) for stem in stems])
    return stems


def with_suffix(stem: Path, suffix: str) -> Path:
    """A stem may have dots: the suffix comes after them."""
    return stem.with_name(stem.name + suffix)


def _flat_names(images: Sequence[Path], root: Path, suffix: str) -> list[str]:
    flat = [image.name for image in images]
    if len(set(flat)) < len(flat):  # same names in several folders
        inside = [image.relative_to(root) if root in image.parents else image for image in images]
        flat = _distinct("_".join(p for p in path.parts if p not in ("/", "..")) for path in inside)
    return list(map(str, unique_stems(list(map(PurePath, flat)), lambda name: [name + suffix])))


def _distinct(names: Iterable[str]) -> list[str]:
    """Number names that repeat: a/b_c.jpg and a_b/c.jpg would both be a_b_c.jpg."""
    found: dict[str, str] = {}  # by name in lower case, since some file systems ignore case
    for name in names:
        stem, dot, suffix = name.rpartition(".")
        numbered = (f"{stem}-{number}{dot}{suffix}" for number in count(2))
        free = next(new for new in chain([name], numbered) if new.casefold() not in found)
        found[free.casefold()] = free
    return list(found.values())


def _write(path: Path, data: bytes) -> int:
    """Write a file whole; returns its size in bytes. Raises DepthFileError and DiskFullError."""
    with full_disk_ends():
        try:
            write_set(path.parent, [(path.name, data)])
        except OSError as error:
            raise DepthFileError(f"{path}: cannot be written: {error}") from error
    return len(data)
