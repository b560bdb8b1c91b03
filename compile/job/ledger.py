"""What a job has done already, one file per step: a rerun goes on behind it.

A step's file holds a hash of all that went into the step. If anything of it has changed, the step
is done again, and so is every step that uses its result.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Optional

from compile.errors import JobError
from depth.artifact.strict_json import decode, parse_object
from depth.files import lock_now, sha256_bytes, write_whole


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
            lock_now(opened.fileno())
        except BlockingIOError:
            raise JobError(f"{folder}: another process runs this job; wait for it") from None
        except OSError as error:
            raise JobError(
                f"{folder}: cannot be locked: {error.strerror}; use another file system"
            ) from error
        yield Ledger(folder)
