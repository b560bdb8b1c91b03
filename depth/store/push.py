"""Copies an artifact from a folder into a store: programs first, the manifest last.

So readers never see a part of an artifact.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from mmap import mmap
from pathlib import Path
from typing import Optional, cast

from depth.artifact.checks import inside
from depth.artifact.manifest import (
    MANIFEST,
    MAX_MANIFEST_BYTES,
    REPORTS,
    Artifact,
    parse_manifest,
)
from depth.artifact.verification import (
    MAX_BYTES,
    Verification,
    dump_verification,
    outranks,
    parse_verification,
    read_verification,
    write_verification,
)
from depth.errors import ArtifactError, StoreError
from depth.files import read_regular, sha256_bytes
from depth.store.names import (
    MAX_REPORT_BYTES,
    check_names,
    companion_key,
    manifest_key,
    object_key,
    program_files,
    verified_key,
)
from depth.store.objects import ObjectStore, OnBytes

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Pushed:
    """Bytes of programs."""

    sent_bytes: int
    kept_bytes: int  # were there already


def push(store: ObjectStore, artifact: Artifact, on_bytes: OnBytes = lambda _: None) -> Pushed:
    """Copy an artifact into the store; objects that the store has are not sent again.

    Raises ArtifactError if a local file is damaged or differs from the manifest, and StoreError:
    also if the folder's measurement says otherwise than the store's, and the store's counts.
    """
    identity, manifest = artifact.identity, artifact.manifest
    check_names(manifest, identity, str(artifact.folder))
    verification = read_verification(artifact)
    there = {listed.key for listed in store.listed(companion_key(identity, ""))}
    sent_bytes = kept_bytes = 0
    for file in program_files(manifest):
        (view,) = artifact.open_files([file])
        with cast(mmap, view.obj) as data:
            view.release()  # a mapping with views cannot be closed
            sent = store.upload(object_key(file.sha256), data, file.sha256, on_bytes)
            sent_bytes += sent
            kept_bytes += file.size_bytes - sent
    for name in REPORTS:
        path = inside(artifact.folder, name)  # a link could lead to any file of this machine
        if companion_key(identity, name) not in there and path.exists():
            store.write(companion_key(identity, name), _bytes(path, MAX_REPORT_BYTES))
    refused = _write_verification(store, artifact, verification) if verification else None
    _write_manifest(store, artifact)
    if refused is not None:
        raise StoreError(refused)
    return Pushed(sent_bytes, kept_bytes)


def _bytes(path: Path, limit: int) -> bytes:
    try:
        return read_regular(path, limit)
    except OSError as error:
        raise StoreError(f"{path}: cannot be read: {error.strerror}") from error


def _write_verification(store: ObjectStore, artifact: Artifact, own: Verification) -> Optional[str]:
    """Write the folder's measurement if it counts; otherwise the reason if the verdicts differ.

    What is written has a higher counter than what it replaces, in the store and in the folder.
    """
    key = verified_key(artifact.identity)
    where = f"{store.name}/{key}"
    found = store.read(key, MAX_BYTES)
    stored = _parsed(found.data, artifact, where) if found else None
    if stored is not None and replace(stored, counter=own.counter) == own:
        return None
    if stored is not None and not outranks(own, stored):
        return _kept(own, stored, where)
    counter = max(own.counter, stored.counter + 1) if stored else own.counter
    new = replace(own, counter=counter)
    if not store.write_if(key, dump_verification(new).encode(), found.tag if found else None):
        return f"{where}: somebody else pushed a measurement at the same time; push again"
    if new != own:
        try:
            write_verification(artifact, new)
        except OSError as error:
            return f"{artifact.folder}: counter {counter} cannot be written: {error.strerror}"
    return None


def _kept(own: Verification, stored: Verification, where: str) -> Optional[str]:
    """What to do about a measurement that does not count; None where both have one verdict."""
    told = f"{where}: kept, with counter {stored.counter}; the folder's has counter {own.counter}"
    if own.gate.passed == stored.gate.passed:
        logger.warning("%s", told)
        return None
    verdict = "passed" if stored.gate.passed else "failed"
    return (
        f"{told} and another verdict: the store's {verdict}. If the folder's is the newer one, "
        "pull the artifact, run `python -m compile parity --on-device` again, then push"
    )


def _parsed(data: bytes, artifact: Artifact, where: str) -> Optional[Verification]:
    """The measurement in the store; None if it is damaged."""
    try:
        return parse_verification(data, artifact.manifest, where)
    except ArtifactError as error:
        logger.warning("replaced: %s", error)
        return None


def _write_manifest(store: ObjectStore, artifact: Artifact) -> None:
    path = artifact.folder / MANIFEST
    data = _bytes(path, MAX_MANIFEST_BYTES)
    if sha256_bytes(data) != artifact.manifest_sha256:
        raise StoreError(f"{path}: changed during the push; push again")
    key = manifest_key(artifact.identity)
    found = store.read(key, MAX_MANIFEST_BYTES)
    # Keep a manifest that is there: another build of the same identity may differ in the last
    # digits of parity, and aliases record the sha256 of the manifest.
    if found is None or not _is_manifest(found.data, artifact.identity):
        store.write(key, data)


def _is_manifest(data: bytes, identity: str) -> bool:
    try:
        return parse_manifest(data, "").identity() == identity
    except ArtifactError:
        return False
