"""Compiled programs, kept on disk: no program is compiled twice.

An entry is a folder named by its key: a hash of everything that decides a program. The folder holds
the program, its hash and its build record. Entries are written under another name and renamed, so
that each is complete. A damaged entry counts as absent.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Optional

from compile.errors import HostError
from compile.neuron.record import BuildRecord, dump_record, parse_record
from depth.files import (
    read_regular,
    reading,
    sha256_bytes,
    sha256_file,
    sync_folder,
    write_set,
)

logger = logging.getLogger(__name__)
_PROGRAM, _RECORD, _HASH = "program", "record.json", "program.sha256"
_MAX_RECORD_BYTES, _HASH_BYTES = 1 << 26, 64


@dataclass(frozen=True)
class CacheKey:
    """Everything that a program depends on."""

    source: str  # hash of the code that makes and lowers the network
    graph: str  # hash of the traced graph: passes, stage and shapes
    weights: str  # hash of every parameter and buffer
    shape: tuple[int, ...]  # of the input, batch first
    arguments: tuple[str, ...]  # precision, and arguments of the compiler
    versions: Mapping[str, str]  # of compiler and tracer

    def digest(self) -> str:
        facts = {**vars(self), "versions": dict(self.versions)}
        return sha256_bytes(json.dumps(facts, sort_keys=True).encode())


def default_folder() -> Path:
    """Where work folders and programs stay unless a folder is named.

    Raises HostError for a user without a home folder.
    """
    try:
        return Path.home() / ".cache" / "depth-anything-inferentia"
    except (KeyError, RuntimeError) as error:  # Python 3.9, and later ones
        raise HostError(
            "this user has no home folder, where compiled programs are kept; set HOME to a folder"
        ) from error


class ProgramCache:
    """Entries in `folder`, which is made on the first store."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def fetch(self, key: CacheKey, program: Path) -> Optional[BuildRecord]:
        """Copy the program of this key to `program`; its record, or None if there is none."""
        entry = self.folder / key.digest()
        if not entry.is_dir():
            return None
        try:
            record = parse_record(read_regular(entry / _RECORD, _MAX_RECORD_BYTES))
            _copy(entry / _PROGRAM, program)
            if sha256_file(program).encode() != read_regular(entry / _HASH, _HASH_BYTES):
                raise ValueError("the program has other bytes than were stored")
        except (OSError, ValueError) as error:
            logger.warning("%s: damaged, compiled again: %s", entry, error)
            program.unlink(missing_ok=True)
            return None
        return replace(record, from_cache=True)

    def store(self, key: CacheKey, program: Path, record: BuildRecord) -> None:
        """Keep a copy of the program; in place of an entry that could not be fetched."""
        self.folder.mkdir(parents=True, exist_ok=True)
        entry = self.folder / key.digest()
        with tempfile.TemporaryDirectory(dir=self.folder, prefix=".storing-") as scratch:
            made = Path(scratch) / "entry"
            made.mkdir()
            _copy(program, made / _PROGRAM)
            digest = sha256_file(made / _PROGRAM)
            write_set(made, [(_HASH, digest.encode()), (_RECORD, dump_record(record))])
            if entry.exists():
                entry.rename(Path(scratch) / "damaged")
            try:
                made.rename(entry)
                sync_folder(self.folder)
            except OSError:
                # Another process stored the same key a moment ago.
                logger.info("%s: stored by another process", entry)


def _copy(source: Path, target: Path) -> None:
    with reading(source) as opened, target.open("wb") as copy:
        shutil.copyfileobj(opened, copy)
        copy.flush()
        os.fsync(copy.fileno())


def digest_of(parts: Iterable[bytes]) -> str:
    """Hex SHA-256 of byte strings and of their lengths."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.hexdigest()
