"""The artifacts in a store: read, and found by alias, folder name or identity."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Optional

from depth.artifact.anchor import IDENTITY_DIGITS
from depth.artifact.manifest import MAX_MANIFEST_BYTES, Manifest, folder_name, parse_manifest
from depth.artifact.verification import MAX_BYTES, Verification, parse_verification, state_of
from depth.errors import ArtifactError, DamagedError, InputError, StoreError
from depth.files import sha256_bytes
from depth.store.aliases import Alias, read_alias
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

_MAX_CANDIDATES = 5  # in a message
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
    require_promoted(store, entry, name, alias)
    return entry


def require_promoted(store: ObjectStore, entry: Entry, name: str, alias: Alias) -> None:
    """Raises StoreError if the artifact's manifest is not as it was when the alias was moved."""
    if entry.manifest_sha256 != alias.manifest_sha256:
        raise StoreError(
            f"{store.name}: the manifest of {entry.name} has changed since {name} was promoted: "
            "its measured figures were altered. Push the artifact again from a good copy, or look "
            "at it and promote it again"
        )


def manifests_in(store: ObjectStore, digits: str = "") -> Iterator[tuple[str, datetime]]:
    """Identity and date of every artifact whose identity begins with these digits."""
    for listed in store.listed(ARTIFACTS + digits):
        identity = identity_in(listed.key)
        if identity is not None:
            yield identity, listed.modified


def _only_one(store: ObjectStore, digits: str) -> str:
    found = [identity for identity, _ in manifests_in(store, digits)]
    if len(found) == 1:
        return found[0]
    if not found:
        raise StoreError(f"{store.name}: no artifact's identity begins with {digits}; {_LOOK}")
    shown = ", ".join(identity[: len(digits) + 6] for identity in found[:_MAX_CANDIDATES])
    raise StoreError(
        f"{store.name}: {len(found)} artifacts begin with {digits} ({shown}); give more digits"
    )
