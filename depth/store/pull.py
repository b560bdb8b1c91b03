"""Copies an artifact from a store into a folder: into a hidden sibling, then one rename.

The store is not trusted. The manifest's hash must be the identity, each file name is checked, and
each file must have the size and the hash in the manifest. What somebody else put into the hidden
folder is not trusted either: no link in it is followed.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from depth.artifact.manifest import MANIFEST, REPORTS, Artifact, read_artifact
from depth.artifact.program import ProgramFile
from depth.artifact.verification import (
    VERIFIED_FILE,
    outranks,
    read_verification,
    write_verification,
)
from depth.errors import ArtifactError, StoreError
from depth.files import locked, make_folders, sha256_file, sync_folder, sync_tree
from depth.store.catalogue import Entry
from depth.store.names import (
    MAX_REPORT_BYTES,
    companion_key,
    object_key,
    program_files,
)
from depth.store.objects import ObjectStore, OnBytes


def pull(store: ObjectStore, entry: Entry, out: Path, on_bytes: OnBytes = lambda _: None) -> Path:
    """Make sure that the artifact is in folder `out`; returns its own folder there.

    Files that an interrupted pull completed are not fetched again. If the artifact is in `out`
    already, only a newer verified.json is added. Raises StoreError for wrong bytes in the store,
    and keeps none of them.
    """
    final = out / entry.name
    staging = out / f".pulling-{entry.identity}"
    with _local_errors(out):
        make_folders(out)
        with locked(out):
            if final.exists():
                _take_verification(entry, _whole(final, entry))
                on_bytes(entry.size_bytes)
            else:
                _fetch(store, entry, staging, on_bytes)
                sync_tree(staging)
                staging.rename(final)
                sync_folder(out)
    return final


def _whole(folder: Path, entry: Entry) -> Artifact:
    try:
        artifact = read_artifact(folder, entry.identity)
        for file in program_files(entry.manifest):
            artifact.open_files([file])
    except ArtifactError as error:
        raise StoreError(
            f"{folder} is there already and is damaged ({error}). It was left as it is: move it "
            "away, then pull again"
        ) from error
    return artifact


def _fetch(store: ObjectStore, entry: Entry, staging: Path, on_bytes: OnBytes) -> None:
    _remove_foreign(staging)
    for file in program_files(entry.manifest):
        if not _fetched(store, file, staging, on_bytes):
            shutil.rmtree(staging)
            raise StoreError(
                f"{store.name}/{object_key(file.sha256)}: is not what its name says; nothing was "
                "kept. Pull again, and if it stays so, delete that object and push the artifact "
                "again from a good copy"
            )
    for name in REPORTS:
        found = store.read(companion_key(entry.identity, name), MAX_REPORT_BYTES)
        if found is not None:
            _write_new(staging / name, found.data)
    _write_new(staging / MANIFEST, entry.data)
    try:
        _take_verification(entry, read_artifact(staging, entry.identity))
    except ArtifactError as error:  # such as two files of one name
        shutil.rmtree(staging)
        raise StoreError(f"{entry.name}: {error}; nothing was kept") from error


def _fetched(store: ObjectStore, file: ProgramFile, staging: Path, on_bytes: OnBytes) -> bool:
    """Fetch a file unless an earlier pull did; returns whether it has the right bytes."""
    path = staging / file.path
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_file() and sha256_file(path) == file.sha256:
        on_bytes(file.size_bytes)
        return True
    path.unlink(missing_ok=True)
    with path.open("xb") as opened:
        store.download(object_key(file.sha256), opened, file.size_bytes, on_bytes)
    return sha256_file(path) == file.sha256


def _remove_foreign(staging: Path) -> None:
    """Remove what is not a pull's own: links, devices, and a measurement, which no hash covers."""
    if staging.is_symlink():
        staging.unlink()
    (staging / VERIFIED_FILE).unlink(missing_ok=True)
    for folder, folders, files in os.walk(staging):  # does not follow links
        for name in (*folders, *files):
            path = Path(folder, name)
            facts = path.lstat()
            own = stat.S_ISREG(facts.st_mode) and facts.st_nlink == 1
            if not (own or stat.S_ISDIR(facts.st_mode)):
                path.unlink()


def _write_new(path: Path, data: bytes) -> None:
    """Write to a file of our own: what was there under its name is unlinked, never written to."""
    path.unlink(missing_ok=True)
    with path.open("xb") as opened:
        opened.write(data)


def _take_verification(entry: Entry, artifact: Artifact) -> None:
    stored = entry.verification
    if stored is not None and outranks(stored, read_verification(artifact)):
        write_verification(artifact, stored)


@contextmanager
def _local_errors(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"{error.filename or out}: {error.strerror}; name another --out, or make room there"
        ) from error
