"""Copies an artifact from a folder into a store: programs first, the manifest last.

So readers never see a part of an artifact.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from mmap import mmap
from pathlib import Path
from typing import Optional, cast

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
    is_later,
    parse_verification,
    read_verification,
)
from depth.errors import ArtifactError, StoreError
from depth.files import sha256_bytes
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

    Raises ArtifactError if a local file is damaged or differs from the manifest, and StoreError.
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
        path = artifact.folder / name
        if companion_key(identity, name) not in there and path.is_file():
            store.write(companion_key(identity, name), _report(path))
    if verification is not None and is_later(verification, _stored(store, identity)):
        store.write(verified_key(identity), dump_verification(verification).encode())
    _write_manifest(store, artifact)
    return Pushed(sent_bytes, kept_bytes)


def _report(path: Path) -> bytes:
    if path.stat().st_size > MAX_REPORT_BYTES:
        raise StoreError(f"{path}: over {MAX_REPORT_BYTES} bytes; not a report")
    return _bytes(path)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise StoreError(f"{path}: cannot be read: {error.strerror}") from error


def _stored(store: ObjectStore, identity: str) -> Optional[Verification]:
    """The measurement in the store; None if there is none, or it is damaged."""
    key = verified_key(identity)
    found = store.read(key, MAX_BYTES)
    try:
        return parse_verification(found.data, identity, f"{store.name}/{key}") if found else None
    except ArtifactError as error:
        logger.warning("replaced: %s", error)
        return None


def _write_manifest(store: ObjectStore, artifact: Artifact) -> None:
    path = artifact.folder / MANIFEST
    data = _bytes(path)
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
