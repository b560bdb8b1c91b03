"""Remove what folder jobs wrote into an output folder, by the job's report, and nothing else.

A file goes if the report lists it with its size, and the .json of its image with its sha256, or the
report itself where no .json lists it any more. What another program wrote or somebody changed
stays, and so do links and what lies behind them. Folders that held results go if they are empty.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Optional

from depth.errors import InputError
from depth.files import read_regular, remove_left_over
from serve.folder.earlier import UNREADABLE, is_json, listed_in, most_bytes
from serve.folder.index import pages_of
from serve.folder.manifest import MANIFEST, JobManifest, manifest_in
from serve.jobs.under_way import UNDER_WAY

_CHUNK_BYTES = 1 << 20
_MAX_BYTES = 10_000_000  # of the names of images under way
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CHANGED = "it is not as the report and its .json say"


@dataclass(frozen=True)
class Fate:
    """What became of a file."""

    name: str  # inside the output folder
    left: str = ""  # why it is still there; "" if it was removed


def clean(folder: Path, dry_run: bool = False) -> Iterator[Fate]:
    """Remove the results, the pages and the report of an output folder.

    dry_run  only say what would become of each file

    The report stays as long as a file that it lists is left. Raises InputError for a folder that is
    a link or is not there, ManifestError if a job is writing into it.
    """
    if folder.is_symlink():
        raise InputError(f"{folder}: a link, which is not followed here; name the folder itself")
    if not folder.is_dir():
        raise InputError(f"{folder}: not a folder; name an output folder")
    if os.path.lexists(folder / MANIFEST):
        with manifest_in(folder, writable=not dry_run) as report:
            yield from _Cleaning(folder, dry_run).cleaned(report)


class _Cleaning:
    def __init__(self, folder: Path, dry_run: bool) -> None:
        self._folder = folder
        self._dry_run = dry_run
        self._emptied: set[PurePosixPath] = set()  # folders inside the output folder
        self._left = 0

    def cleaned(self, report: JobManifest) -> Iterator[Fate]:
        for fate in self._results(report):
            self._left += bool(fate.left)
            yield fate
        own = [page.name for page in pages_of(self._folder)]
        own += [UNDER_WAY] if _names_images(self._folder / UNDER_WAY) else []
        own += [MANIFEST] if report.images and not self._left else []
        for name in own:
            yield Fate(name)
        if not self._dry_run:
            for name in own:
                (self._folder / name).unlink()
            self._remove_folders()

    def _results(self, report: JobManifest) -> Iterator[Fate]:
        """Of the files of all images, then of those that no .json lists."""
        unlisted = report.unlisted()
        for image in report.images:
            entry = report.find(image)
            if entry is not None:
                yield from self._result(entry.outputs)
                for name in entry.outputs:
                    unlisted.pop(name, None)  # which is of a result again
        for name, file in unlisted.items():
            yield from self._fate(name, file.size_bytes, file.sha256)

    def _result(self, outputs: Mapping[str, int]) -> Iterator[Fate]:
        """Of the files of an image; a .json goes last, since it says what the others hold."""
        digests: dict[str, str] = {}
        for beside in filter(is_json, outputs):
            with suppress(OSError, *UNREADABLE):
                digests.update(self._listed(beside))
        for name in sorted(outputs, key=is_json):
            yield from self._fate(name, outputs[name], digests.get(name))

    def _fate(self, name: str, size_bytes: int, sha256: Optional[str]) -> Iterator[Fate]:
        """Of a file with these bytes; none if it is not there."""
        try:
            if self._is_removed(name, size_bytes, sha256):
                yield Fate(name)
        except (OSError, ValueError) as error:
            yield Fate(name, getattr(error, "strerror", None) or str(error))

    def _listed(self, name: str) -> dict[str, str]:
        """The sha256 of the files that a .json names, and its own."""
        with _opened(self._folder, name) as (_, descriptor):
            size_bytes = min(os.fstat(descriptor).st_size, most_bytes(name))
            with os.fdopen(os.dup(descriptor), "rb") as file:
                return listed_in(name, file.read(size_bytes))

    def _is_removed(self, name: str, size_bytes: int, sha256: Optional[str]) -> bool:
        """Remove a file with these bytes; False if there is no such file.

        Raises ValueError for a file with other bytes, OSError for what is not a file.
        """
        try:
            with _opened(self._folder, name) as (parent, descriptor):
                same = sha256 and os.fstat(descriptor).st_size == size_bytes
                if not same or _digest(descriptor) != sha256:
                    raise ValueError(_CHANGED)
                if not self._dry_run:
                    os.unlink(PurePosixPath(name).name, dir_fd=parent)
        except FileNotFoundError:
            return False
        self._emptied.add(PurePosixPath(name).parent)
        return True

    def _remove_folders(self) -> None:
        """Remove left-over files of a killed job, then the folders that are empty, inner first."""
        remove_left_over(self._folder / folder for folder in self._emptied)
        folders = {folder for inner in self._emptied for folder in (inner, *inner.parents)}
        for folder in sorted(folders - {PurePosixPath()}, key=str, reverse=True):
            with suppress(OSError):  # not empty
                (self._folder / folder).rmdir()


def _names_images(path: Path) -> bool:
    """Whether a file is the list of images that a killed job left."""
    with suppress(OSError, ValueError, RecursionError):
        if not path.is_symlink():
            found = json.loads(read_regular(path, _MAX_BYTES).partition(b"\n")[0])
            return isinstance(found, dict) and "under_way" in found
    return False


@contextmanager
def _opened(root: Path, name: str) -> Iterator[tuple[int, int]]:
    """Descriptors of the folder of a file inside `root`, and of the file.

    Raises ValueError for a name that leaves `root`, OSError if a part of it is a link, or if it is
    not a regular file.
    """
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.name:
        raise ValueError("it is outside the output folder")
    with ExitStack() as stack:
        parent = os.open(root, _FOLDER)
        stack.callback(os.close, parent)
        for part in path.parts[:-1]:
            parent = os.open(part, _FOLDER, dir_fd=parent)
            stack.callback(os.close, parent)
        descriptor = os.open(path.name, _FILE, dir_fd=parent)
        stack.callback(os.close, descriptor)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError("it is not a regular file")
        yield parent, descriptor


def _digest(descriptor: int) -> str:
    digest = hashlib.sha256()
    for data in iter(lambda: os.read(descriptor, _CHUNK_BYTES), b""):
        digest.update(data)
    return digest.hexdigest()
