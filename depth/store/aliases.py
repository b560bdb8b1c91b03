"""Aliases: names that point at an artifact and can be moved, such as vits/inf1/production."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Optional, Union

from depth.artifact.strict_json import decode, parse_object
from depth.errors import DamagedError
from depth.store.names import ALIASES, alias_in, alias_key, is_identity
from depth.store.objects import ObjectStore

_MAX_BYTES = 4096


@dataclass(frozen=True)
class Alias:
    identity: str  # of the artifact
    manifest_sha256: str  # of its whole manifest, measured figures included
    previous: Optional[str]  # the identity before
    moved_at: str  # ISO 8601, UTC


@dataclass(frozen=True)
class Found:
    alias: Alias
    tag: str  # of its bytes, for a conditional write


def read_alias(store: ObjectStore, name: str) -> Optional[Found]:
    """The alias, or None if there is none. Raises DamagedError, and StoreError as the store."""
    key = alias_key(name)
    found = store.read(key, _MAX_BYTES)
    if found is None:
        return None
    try:
        alias = decode(Alias, parse_object(found.data))
        for digest in (alias.identity, alias.manifest_sha256):
            if not is_identity(digest):
                raise ValueError(f"{digest!r} is not a sha256")
    except ValueError as error:
        raise DamagedError(f"{store.name}/{key}: {error}; delete it, then promote again") from error
    return Found(alias, found.tag)


def dump_alias(alias: Alias) -> bytes:
    return json.dumps(asdict(alias), indent=2, sort_keys=True).encode() + b"\n"


def all_aliases(store: ObjectStore) -> Iterator[tuple[str, Union[Alias, DamagedError]]]:
    """Every alias by name; for a damaged alias the error that says what is wrong with it."""
    for name in filter(None, (alias_in(listed.key) for listed in store.listed(ALIASES))):
        try:
            found = read_alias(store, name)
        except DamagedError as error:
            yield name, error
        else:
            if found is not None:  # deleted since the listing
                yield name, found.alias
