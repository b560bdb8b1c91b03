"""The user's folder of prepared programs: private, bounded, and the oldest entries go first.

    $XDG_CACHE_HOME/depth-anything-inferentia/programs, by default below ~/.cache

DEPTH_PROGRAM_CACHE     another folder, or `off`
DEPTH_PROGRAM_CACHE_MB  the most that all entries take, by default 2000
"""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Optional

from depth.files import NO_LINK, open_regular, remove_left_over, replacing

logger = logging.getLogger(__name__)

VARIABLE, SIZE_VARIABLE = "DEPTH_PROGRAM_CACHE", "DEPTH_PROGRAM_CACHE_MB"
OFF = "off"
SUFFIX = ".program"
DEFAULT_MB = 2000
_BELOW = Path("depth-anything-inferentia", "programs")
_LEAST_FREE_BYTES = 1 << 30  # of the disk, which results need more than this folder
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


@dataclass(frozen=True)
class KeptFolder:
    """A folder of entries. Its methods say on stderr, once, why they do nothing.

    limit_bytes  of all entries together; an entry takes at most half of it
    """

    path: Path
    limit_bytes: int

    def read(self, name: str) -> Optional[bytes]:
        """The bytes of an entry; None if there is none, or if others could have written it."""
        path = self.path / name
        try:
            _check_private(self.path)
            with os.fdopen(open_regular(path, os.O_RDONLY | NO_LINK), "rb") as file:
                found = os.fstat(file.fileno())
                if found.st_uid != os.geteuid() or found.st_mode & _OTHERS_WRITE:
                    raise PermissionError(0, "others can write it", str(path))
                os.utime(path)  # it was used: the oldest go first
                return file.read(self.limit_bytes)
        except FileNotFoundError:
            return None
        except OSError as error:
            _say(f"{error.filename or path}: {error.strerror}")
            return None

    def write(self, name: str, *parts: bytes) -> bool:
        """Write an entry whole, and evict others. False if it is too large or cannot be written."""
        size = sum(map(len, parts))
        if size > self.limit_bytes // 2:
            return False
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            _check_private(self.path)
            disk = os.statvfs(self.path)
            if disk.f_bavail * disk.f_frsize < size + _LEAST_FREE_BYTES:
                raise OSError(0, "under 1 GB of the disk would be left", str(self.path))
            remove_left_over([self.path])
            with replacing(self.path / name) as file:
                os.fchmod(file.fileno(), 0o600)
                for part in parts:
                    file.write(part)
            self._evict(name)
        except OSError as error:
            _say(f"{error.filename or self.path}: {error.strerror}")
            return False
        return True

    def drop(self, name: str) -> None:
        """Remove an entry that is of no use."""
        with suppress(OSError):
            (self.path / name).unlink()

    def _evict(self, latest: str) -> None:
        """Remove the entries that were not used for the longest time, as far as the limit asks."""
        entries = []
        for path in self.path.glob(f"*{SUFFIX}"):
            with suppress(FileNotFoundError):  # another process evicts too
                found = path.lstat()
                entries.append((path.name != latest, -found.st_mtime_ns, found.st_size, path.name))
        total = 0
        for _, _, size, name in sorted(entries):
            total += size
            if total > self.limit_bytes:
                self.drop(name)


def kept_folder(environment: Mapping[str, str]) -> Optional[KeptFolder]:
    """The folder that the environment says; None if it is off or there is no home folder."""
    asked = environment.get(VARIABLE, "")
    if asked.lower() == OFF:
        return None
    size = environment.get(SIZE_VARIABLE, "")
    if size and not size.isdecimal():
        _say(f"{SIZE_VARIABLE}={size}: expected a number of MB, such as {DEFAULT_MB}")
        return None
    path = Path(asked).expanduser() if asked else _default(environment)
    limit_bytes = int(size or DEFAULT_MB) * 1_000_000
    return None if path is None else KeptFolder(path, limit_bytes)


def _default(environment: Mapping[str, str]) -> Optional[Path]:
    """In the cache folder of the XDG Base Directory Specification, which is no relative path."""
    base = Path(environment.get("XDG_CACHE_HOME", ""))
    if base.is_absolute():
        return base / _BELOW
    try:
        return Path.home() / ".cache" / _BELOW
    except (KeyError, RuntimeError):  # KeyError: of Python 3.9, for an unknown user id
        return None


def _check_private(path: Path) -> None:
    """Raises OSError unless the folder is ours and nobody else can write into it."""
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode):
        raise NotADirectoryError(0, "not a folder", str(path))
    if found.st_uid != os.geteuid() or found.st_mode & _OTHERS_WRITE:
        raise PermissionError(
            0, f"others can write into it: `chmod 700` it, or set {VARIABLE}={OFF}", str(path)
        )


@cache
def _say(problem: str) -> None:
    logger.warning("prepared programs are not kept: %s", problem)
