"""The artifacts in a store: read, listed, and found by alias, folder name or identity."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Optional

from depth.artifact.anchor import IDENTITY_DIGITS
from depth.artifact.manifest import MAX_MANIFEST_BYTES, Manifest, folder_name, parse_manifest
from depth.artifact.verification import MAX_BYTES, Verification, parse_verification, state_of
from depth.errors import ArtifactError, DamagedError, InputError, StoreError
from depth.files import sha256_bytes
from depth.sizes import size_text
from depth.store.aliases import Alias, all_aliases, read_alias
from depth.store.names import (
    ARTIFACTS,
    check_names,
    identity_in,
    is_alias,
    is_identity_prefix,
    manifest_key,
    program_files,
    verified_key,
)
from depth.store.objects import ObjectStore

logger = logging.getLogger(__name__)

_REQUESTS_AT_ONCE = 8
_MAX_CANDIDATES = 5  # in a message
HEADING = ("name", "target", "precision", "sizes", "MB", "state", "aliases", "pushed (UTC)")
_LOOK = "`python -m compile list` shows what there is"


@dataclass(frozen=True)
class Entry:
    """An artifact in a store."""

    identity: str
    data: bytes  # of manifest.json
    manifest: Manifest
    verification: Optional[Verification]

    @property
    def manifest_sha256(self) -> str:
        return sha256_bytes(self.data)

    @property
    def name(self) -> str:
        """The name of its folder."""
        return folder_name(self.manifest, self.identity)

    @property
    def state(self) -> str:
        """verified, built or failed."""
        return state_of(self.manifest, self.verification)

    @property
    def size_bytes(self) -> int:
        return sum(file.size_bytes for file in program_files(self.manifest))


@dataclass(frozen=True)
class Row:
    """An artifact in a listing."""

    entry: Entry
    aliases: tuple[str, ...]
    pushed: datetime

    @property
    def cells(self) -> tuple[str, ...]:
        """Its texts under `HEADING`. Stages and batch sizes are left to `inspect`."""
        entry, manifest = self.entry, self.entry.manifest
        return (
            entry.name,
            manifest.target,
            manifest.precision,
            ",".join(dict.fromkeys(size_text(program.size) for program in manifest.programs)),
            f"{entry.size_bytes / 1e6:.1f}",
            entry.state,
            ",".join(self.aliases) or "-",
            self.pushed.strftime("%Y-%m-%d %H:%M"),
        )


def read_entry(store: ObjectStore, identity: str) -> Entry:
    """Read an artifact's manifest and measurement.

    Raises DamagedError if either is damaged or has file names that lead out of a folder. Raises
    StoreError if the artifact is missing or the store fails.
    """
    where, verified = (f"{store.name}/{key(identity)}" for key in (manifest_key, verified_key))
    found = store.read(manifest_key(identity), MAX_MANIFEST_BYTES)
    if found is None:
        raise StoreError(f"{where}: no such artifact; {_LOOK}")
    try:
        manifest = parse_manifest(found.data, where)
    except ArtifactError as error:
        raise DamagedError(f"{error}; or push the artifact again from a good copy") from error
    if manifest.identity() != identity:
        raise DamagedError(f"{where}: is damaged; push the artifact again from a good copy")
    check_names(manifest, identity, where)
    measured = store.read(verified_key(identity), MAX_BYTES)
    if measured is None:
        return Entry(identity, found.data, manifest, None)
    try:
        verification = parse_verification(measured.data, manifest, verified)
    except ArtifactError as error:
        raise DamagedError(f"{error} and push that") from error
    return Entry(identity, found.data, manifest, verification)


def find(store: ObjectStore, reference: str) -> Entry:
    """The artifact with this alias, folder name, or first digits of its identity.

    Raises InputError for a reference of another form, and StoreError if the store has no such
    artifact.
    """
    if is_alias(reference):
        found = read_alias(store, reference)
        if found is None:
            raise StoreError(
                f"{store.name}: there is no alias {reference}; an artifact is named by its "
                "identity, or by its folder's name without a path"
            )
        return _promoted(store, reference, found.alias)
    if is_identity_prefix(reference):
        return read_entry(store, _only_one(store, reference))
    digits = reference[-IDENTITY_DIGITS:]
    if not is_identity_prefix(digits):
        raise InputError(
            f"{reference!r}: expected an alias like vits/inf1/production, the name of an "
            "artifact's folder, or at least 6 digits of its identity"
        )
    entry = read_entry(store, _only_one(store, digits))
    if entry.name != reference:
        raise StoreError(f"{store.name}: there is no {reference}; there is {entry.name}")
    return entry


def _promoted(store: ObjectStore, name: str, alias: Alias) -> Entry:
    entry = read_entry(store, alias.identity)
    if entry.manifest_sha256 != alias.manifest_sha256:
        raise StoreError(
            f"{store.name}: the manifest of {entry.name} has changed since {name} was promoted: "
            "its measured figures were altered. Push the artifact again from a good copy, or look "
            "at it and promote it again"
        )
    return entry


def rows(store: ObjectStore) -> list[Row]:
    """Every artifact, the newest first. Damaged artifacts are logged and left out.

    Raises StoreError if the store cannot be read.
    """
    names: dict[str, list[str]] = {}
    for name, alias in all_aliases(store):
        names.setdefault(alias.identity, []).append(name)
    dates = dict(sorted(_manifests(store), key=lambda listed: listed[1], reverse=True))
    with ThreadPoolExecutor(_REQUESTS_AT_ONCE) as pool:
        entries = list(pool.map(lambda identity: _whole(store, identity), dates))
    return [
        Row(entry, tuple(names.get(entry.identity, ())), dates[entry.identity])
        for entry in entries
        if entry is not None
    ]


def _whole(store: ObjectStore, identity: str) -> Optional[Entry]:
    """The entry, or None if it is damaged; a store that fails is still an error."""
    try:
        return read_entry(store, identity)
    except DamagedError as error:
        logger.warning("ignored: %s", error)
        return None


def _manifests(store: ObjectStore, digits: str = "") -> Iterator[tuple[str, datetime]]:
    """Identity and date of every artifact whose identity begins with these digits."""
    for listed in store.listed(ARTIFACTS + digits):
        identity = identity_in(listed.key)
        if identity is not None:
            yield identity, listed.modified


def _only_one(store: ObjectStore, digits: str) -> str:
    found = [identity for identity, _ in _manifests(store, digits)]
    if len(found) == 1:
        return found[0]
    if not found:
        raise StoreError(f"{store.name}: no artifact's identity begins with {digits}; {_LOOK}")
    shown = ", ".join(identity[: len(digits) + 6] for identity in found[:_MAX_CANDIDATES])
    raise StoreError(
        f"{store.name}: {len(found)} artifacts begin with {digits} ({shown}); give more digits"
    )
