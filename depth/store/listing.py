"""What a listing of a store shows: whole artifacts with their aliases, and what is damaged."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Union

from depth.artifact.anchor import IDENTITY_DIGITS
from depth.errors import DamagedError, StoreError
from depth.sizes import size_text
from depth.store.aliases import Alias, all_aliases
from depth.store.catalogue import Entry, manifests_in, read_entry, require_promoted
from depth.store.names import manifest_key
from depth.store.objects import ObjectStore

_REQUESTS_AT_ONCE = 8
_DAMAGED = "damaged"  # in the column of states
HEADING = ("name", "target", "precision", "sizes", "MB", "state", "aliases", "pushed (UTC)")


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
            ",".join(self._sizes()),
            f"{entry.size_bytes / 1e6:.1f}",
            entry.state,
            ",".join(self.aliases) or "-",
            self.pushed.strftime("%Y-%m-%d %H:%M"),
        )

    def as_json(self) -> dict[str, Any]:
        """Its facts by name."""
        entry, manifest = self.entry, self.entry.manifest
        return {
            "name": entry.name,
            "identity": entry.identity,
            "target": manifest.target,
            "precision": manifest.precision,
            "sizes": self._sizes(),
            "size_bytes": entry.size_bytes,
            "state": entry.state,
            "aliases": list(self.aliases),
            "pushed": self.pushed.isoformat(timespec="seconds"),
        }

    def _sizes(self) -> list[str]:
        programs = self.entry.manifest.programs
        return list(dict.fromkeys(size_text(program.size) for program in programs))


@dataclass(frozen=True)
class Damaged:
    """An artifact or aliases that nothing can use.

    identity  of the artifact; "" if the alias does not say
    reason    what is wrong, and what to do
    """

    identity: str
    aliases: tuple[str, ...]
    reason: str

    @property
    def cells(self) -> tuple[str, ...]:
        """Its texts under `HEADING`."""
        name = self.identity[:IDENTITY_DIGITS] or "-"
        return name, "-", "-", "-", "-", _DAMAGED, ",".join(self.aliases) or "-", "-"

    def as_json(self) -> dict[str, Any]:
        """Its facts by name."""
        identity, aliases = self.identity or None, list(self.aliases)
        return {"identity": identity, "aliases": aliases, "reason": self.reason}


@dataclass(frozen=True)
class Listing:
    """rows: every whole artifact, the newest first."""

    rows: list[Row]
    damaged: list[Damaged]


def listing(store: ObjectStore) -> Listing:
    """All of a store. Raises StoreError if the store cannot be read."""
    aliases: dict[str, dict[str, Alias]] = {}
    found = Listing([], [])
    for name, alias in all_aliases(store):
        if isinstance(alias, DamagedError):
            found.damaged.append(Damaged("", (name,), str(alias)))
        else:
            aliases.setdefault(alias.identity, {})[name] = alias
    dates = dict(sorted(manifests_in(store), key=lambda each: each[1], reverse=True))
    with ThreadPoolExecutor(_REQUESTS_AT_ONCE) as pool:
        entries = list(pool.map(lambda identity: _read(store, identity), dates))
    for (identity, pushed), entry in zip(dates.items(), entries):
        named = aliases.pop(identity, {})
        if isinstance(entry, DamagedError):
            found.damaged.append(Damaged(identity, tuple(named), str(entry)))
            continue
        changed = list(_changed(store, entry, named))
        found.damaged.extend(changed)
        lost = {name for each in changed for name in each.aliases}
        found.rows.append(Row(entry, tuple(name for name in named if name not in lost), pushed))
    found.damaged.extend(_without_artifact(store, aliases))
    return found


def _read(store: ObjectStore, identity: str) -> Union[Entry, DamagedError]:
    """The entry, or what is wrong with it; a store that fails is still an error."""
    try:
        return read_entry(store, identity)
    except DamagedError as error:
        return error


def _changed(store: ObjectStore, entry: Entry, named: dict[str, Alias]) -> Iterator[Damaged]:
    for name, alias in named.items():
        try:
            require_promoted(store, entry, name, alias)
        except StoreError as error:
            yield Damaged(entry.identity, (name,), str(error))


def _without_artifact(
    store: ObjectStore, aliases: dict[str, dict[str, Alias]]
) -> Iterator[Damaged]:
    for identity, named in aliases.items():
        where = f"{store.name}/{manifest_key(identity)}"
        reason = f"{where}: no such artifact; push it again, or promote another artifact"
        yield Damaged(identity, tuple(named), reason)
