"""Names that are moved from one artifact to the next, such as vits/inf1/production."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Optional

from depth.artifact.strict_json import decode, parse_object
from depth.errors import StoreError
from depth.store.names import ALIASES, alias_in, alias_key, is_identity
from depth.store.objects import ObjectStore

logger = logging.getLogger(__name__)

_MAX_BYTES = 4096


@dataclass(frozen=True)
class Alias:
    identity: str  # of the artifact
    manifest_sha256: str  # of its whole manifest, measured figures included
    previous: Optional[str]  # identity before, to go back to
    moved_at: str  # ISO 8601, UTC


@dataclass(frozen=True)
class Found:
    alias: Alias
    tag: str  # of its bytes, for a conditional write


def read_alias(store: ObjectStore, name: str) -> Optional[Found]:
    """The alias, or None if there is none. Raises StoreError if it is damaged."""
    found = store.read(alias_key(name), _MAX_BYTES)
    return Found(_parsed(store, name, found.data), found.tag) if found else None


def _parsed(store: ObjectStore, name: str, data: bytes) -> Alias:
    try:
        alias = decode(Alias, parse_object(data))
        for name_of, digest in asdict(alias).items():
            if name_of in ("identity", "manifest_sha256") and not is_identity(digest):
                raise ValueError(f"{name_of} {digest!r} is not a sha256")
    except ValueError as error:
        raise StoreError(
            f"{store.name}/{alias_key(name)}: {error}; delete it, then promote again"
        ) from error
    return alias


def dump_alias(alias: Alias) -> bytes:
    return json.dumps(asdict(alias), indent=2, sort_keys=True).encode() + b"\n"


def all_aliases(store: ObjectStore) -> Iterator[tuple[str, Alias]]:
    """Every alias by name. Damaged aliases are logged and left out."""
    for listed in store.listed(ALIASES):
        name = alias_in(listed.key)
        found = store.read(listed.key, _MAX_BYTES) if name else None
        if name is None or found is None:
            continue
        try:
            yield name, _parsed(store, name, found.data)
        except StoreError as error:
            logger.warning("ignored: %s", error)
