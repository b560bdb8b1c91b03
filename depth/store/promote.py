"""Moves an alias by a conditional write: if two users move it at once, the second gets an error.

Some stores accept conditional writes and ignore the condition. So each promotion first tests the
store on a probe object.
"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Optional

from depth.artifact.anchor import IDENTITY_DIGITS
from depth.artifact.verification import BUILT, FAILED
from depth.errors import InputError, StoreError
from depth.store.aliases import Alias, Found, dump_alias, read_alias
from depth.store.catalogue import Entry
from depth.store.names import (
    PROBE,
    alias_key,
    check_alias,
    is_identity_prefix,
)
from depth.store.objects import ObjectStore

_PROBE_DATA = b"Rewritten with these bytes to see whether conditional writes work.\n"
_NO_TAG = '"00000000000000000000000000000000"'


def promote(
    store: ObjectStore,
    entry: Entry,
    name: str,
    expect: Optional[str] = None,
    allow_unverified: bool = False,
) -> Alias:
    """Point the alias `name` at this artifact; returns the alias.

    expect  first digits of the identity that the alias must have before
    Raises InputError for a name that is not an alias. Raises StoreError, and leaves the alias as it
    was, in these cases:

    - the alias has another identity than expected, or somebody moves it at the same time
    - the artifact is not verified
    - the store does not honour conditional writes
    """
    check_alias(name)
    if expect is not None and not is_identity_prefix(expect):
        raise InputError(f"--expect {expect!r}: expected at least 6 digits of an identity")
    _require_proof(entry, allow_unverified)
    require_conditional_writes(store)
    before = read_alias(store, name)
    if expect is not None and not (before and before.alias.identity.startswith(expect)):
        raise _conflict(name, before)
    known = (before.alias.identity, before.alias.manifest_sha256) if before else None
    if before is not None and known == (entry.identity, entry.manifest_sha256):
        return before.alias
    moved_at = datetime.now(timezone.utc).isoformat(timespec="seconds")
    previous = before.alias.identity if before else None
    wanted = Alias(entry.identity, entry.manifest_sha256, previous, moved_at)
    if not store.write_if(alias_key(name), dump_alias(wanted), before.tag if before else None):
        after = read_alias(store, name)
        # A write whose answer was lost is sent again, and then refused because of itself.
        if after is None or after.alias != wanted:
            raise _conflict(name, after)
    return wanted


def require_conditional_writes(store: ObjectStore) -> None:
    """Raises StoreError unless the store refuses a write whose condition does not hold."""
    store.write_if(PROBE, _PROBE_DATA, None)
    found = store.read(PROBE, len(_PROBE_DATA))
    tag = found.tag if found else None
    if store.write_if(PROBE, _PROBE_DATA, None) or store.write_if(PROBE, _PROBE_DATA, _NO_TAG):
        raise StoreError(
            f"{store.name}: ignores the conditions of conditional writes, so two promotions at "
            "once could undo one another; keep aliases in a store that honours If-Match"
        )
    if not store.write_if(PROBE, _PROBE_DATA, tag):
        raise StoreError(
            f"{store.name}: refuses conditional writes whose condition holds; keep aliases in a "
            "store that honours If-Match"
        )


def _require_proof(entry: Entry, allow_unverified: bool) -> None:
    if entry.state == FAILED:
        raise StoreError(
            f"{entry.name}: failed its parity gate, its numbers are wrong; build the artifact again"
        )
    if entry.state == BUILT and not allow_unverified:
        raise StoreError(
            f"{entry.name}: its numbers were never measured on the device; run `python -m compile "
            "parity --on-device` there and push it again, or give --allow-unverified"
        )


def _conflict(name: str, now: Optional[Found]) -> StoreError:
    if now is None:
        return StoreError(f"{name}: no such alias; nothing was changed")
    digits = now.alias.identity[:IDENTITY_DIGITS]
    return StoreError(
        f"{name}: somebody moved the alias to {digits} (at {now.alias.moved_at}); nothing was "
        f"changed. Look at that artifact, then promote again with --expect {digits}"
    )
