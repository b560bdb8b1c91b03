"""The folder that callers may name paths in: nothing outside it is read, written or told about."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from depth.errors import DepthFileError, InputError
from depth.files import make_folders, sync_folder

TASKS = ".tasks"  # the folder in a root that keeps the tasks of its service

_MOST_CHARACTERS = 4096


class Root:
    """Turns paths of callers into paths in a folder. A link is followed, and may not lead out.

    Raises InputError for a folder that is not there.
    """

    def __init__(self, folder: Path) -> None:
        try:
            self.folder = folder.resolve(strict=True)
        except (OSError, RuntimeError) as error:
            raise InputError(f"{folder}: no folder for scenes; make it, or name another") from error
        if not self.folder.is_dir():
            raise InputError(f"{folder}: not a folder; name the folder that has the images")
        self.tasks = self.folder / TASKS

    def file(self, text: str) -> Path:
        """The regular file that a caller names, without links in its path.

        text  absolute, or relative to the root. Raises InputError.
        """
        found = self._inside(text)
        try:
            is_file = found.is_file()
        except (OSError, ValueError):  # a name that no file system takes
            is_file = False
        if not is_file:
            raise InputError(f"{_shown(text)}: no file in the service's root; check the path")
        return found

    def new_folder(self, text: str) -> Path:
        """The folder that a caller names for results; it may be there. Raises InputError."""
        found = self._inside(text)
        try:
            is_folder = stat.S_ISDIR(found.lstat().st_mode)
        except FileNotFoundError:
            return found
        except (OSError, ValueError) as error:
            raise InputError(f"{_shown(text)}: no name for a folder; give another") from error
        if not is_folder:
            raise InputError(f"{_shown(text)}: is a file; name a folder for the results")
        return found

    def place(self, source: Path, names: Iterable[str], folder: Path) -> None:
        """Give files in `source` a second name in `folder`, in this order; nothing is replaced.

        folder  as of `new_folder`: what lies in it may lead out, and is then refused

        Raises DepthFileError if the disk refuses, InputError for a file that is there already.
        """
        targets = {name: self._inside(str(folder / name)) for name in names}
        for name, target in targets.items():
            if os.path.lexists(target):
                raise InputError(f"{name}: is there already; name another export folder")
        for name, target in targets.items():
            try:
                make_folders(target.parent)
                _same(source / name, target)
            except OSError as error:
                raise DepthFileError(f"{name}: cannot be written: {error.strerror}") from error
        with suppress(OSError):
            sync_folder(folder)

    def _inside(self, text: str) -> Path:
        if not text or len(text) > _MOST_CHARACTERS or "\0" in text:
            raise InputError(f"{_shown(text)!r}: no path; name one in the service's root")
        try:
            found = Path(os.path.realpath(self.folder / text))
            os.fsencode(found)
        except (OSError, ValueError, RuntimeError) as error:
            raise InputError(f"{_shown(text)}: no path of this machine; check it") from error
        if not _is_in(found, self.folder) or _is_in(found, self.tasks):
            raise InputError(
                f"{_shown(text)}: outside the folder that this service may use; name a path in it"
            )
        return found


def _same(source: Path, target: Path) -> None:
    """A second name for a file; a copy where the file system has no such thing."""
    try:
        os.link(source, target)
    except FileExistsError:
        raise
    except OSError:
        with source.open("rb") as whole, target.open("xb") as copy:
            shutil.copyfileobj(whole, copy)


def _is_in(path: Path, folder: Path) -> bool:
    return path == folder or folder in path.parents


def _shown(text: str) -> str:
    return text[:200].encode("utf-8", "backslashreplace").decode()
