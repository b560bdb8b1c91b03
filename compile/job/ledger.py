"""The finished steps of a job, a file each: a rerun continues after them.

A step's file holds a hash of the step's inputs. If an input has changed, the job repeats the step,
and every step that uses its result.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Optional

from compile.errors import JobError
from depth.artifact.strict_json import decode, parse_object
from depth.files import (
    NO_LINK,
    lock_now,
    open_regular,
    read_regular,
    sha256_bytes,
    write_whole,
)

_MAX_BYTES = 1 << 26


@dataclass(frozen=True)
class Entry:
    inputs: str  # hash of what it was made from
    result: str  # what later steps need
    section: str  # for the report, Markdown
    headline: str  # for the top of the report; "" if there is none
    duration_s: float


@dataclass(frozen=True)
class Ledger:
    folder: Path

    def get(self, step: str, inputs: str) -> Optional[Entry]:
        """The entry of a step if its inputs are the same; None for a damaged entry."""
        try:
            entry = decode(Entry, parse_object(read_regular(self._path(step), _MAX_BYTES)))
        except (OSError, ValueError):
            return None
        return entry if entry.inputs == inputs else None

    def put(self, step: str, entry: Entry) -> None:
        """Write an entry. Raises JobError if it cannot be written."""
        keep(self._path(step), json.dumps(asdict(entry), indent=2) + "\n")

    def _path(self, step: str) -> Path:
        return self.folder / f"{step}.json"


def keep(path: Path, text: str) -> None:
    """All of a file or nothing. Raises JobError if it cannot be written."""
    try:
        write_whole(path, text)
    except OSError as error:
        raise JobError(
            f"{path}: cannot be written: {error.strerror}; make room, or name another folder"
        ) from error


def inputs_hash(*parts: str) -> str:
    return sha256_bytes(json.dumps(parts).encode())


@contextmanager
def ledger_in(folder: Path) -> Iterator[Ledger]:
    """The ledger of a job, locked for this process. Raises JobError if another process holds it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = open_regular(folder / "lock", os.O_RDWR | os.O_CREAT | NO_LINK)
    except OSError as error:
        raise JobError(
            f"{folder}: no folder for the job: {error.strerror}; name another"
        ) from error
    try:
        try:
            lock_now(handle)
        except BlockingIOError:
            raise JobError(f"{folder}: another process runs this job; wait for it") from None
        except OSError as error:
            raise JobError(
                f"{folder}: cannot be locked: {error.strerror}; use another file system"
            ) from error
        yield Ledger(folder)
    finally:
        os.close(handle)
