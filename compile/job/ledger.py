"""What a job has done already, one file per step: a rerun goes on behind it.

A step's file holds a hash of all that went into the step. If anything of it has changed, the step
is done again, and so is every step that uses its result.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Optional

from compile.errors import JobError
from depth.artifact.strict_json import decode, parse_object
from depth.files import sha256_bytes


@dataclass(frozen=True)
class Entry:
    """One finished step."""

    inputs: str  # hash of what it was made from
    result: str  # what later steps need
    section: str  # for the report, Markdown
    duration_s: float


@dataclass(frozen=True)
class Ledger:
    folder: Path

    def get(self, step: str, inputs: str) -> Optional[Entry]:
        """The step's entry if it was made from the same; a damaged one counts as none."""
        try:
            entry = decode(Entry, parse_object(self._path(step).read_bytes()))
        except (OSError, ValueError):
            return None
        return entry if entry.inputs == inputs else None

    def put(self, step: str, entry: Entry) -> None:
        """Keep it. Raises JobError if it cannot be written."""
        write_whole(self._path(step), json.dumps(asdict(entry), indent=2) + "\n")

    def _path(self, step: str) -> Path:
        return self.folder / f"{step}.json"


def write_whole(path: Path, text: str) -> None:
    """All of a file or nothing, through a temporary file. Raises JobError if that fails."""
    part = path.with_suffix(".part")
    try:
        part.write_text(text, encoding="utf-8", errors="backslashreplace")  # paths may be any bytes
        part.replace(path)
    except OSError as error:
        raise JobError(
            f"{path}: cannot be written: {error.strerror}; make room, or name another folder"
        ) from error


def inputs_hash(*parts: str) -> str:
    """One hash over texts."""
    return sha256_bytes(json.dumps(parts).encode())


@contextmanager
def ledger_in(folder: Path) -> Iterator[Ledger]:
    """The ledger of a job, held for this process alone. Raises JobError if another one has it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        opened = (folder / "lock").open("w", encoding="ascii")
    except OSError as error:
        raise JobError(
            f"{folder}: no folder for the job: {error.strerror}; name another"
        ) from error
    with opened:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise JobError(f"{folder}: another process runs this job; wait for it") from None
        except OSError as error:
            raise JobError(
                f"{folder}: cannot be locked: {error.strerror}; use another file system"
            ) from error
        yield Ledger(folder)
