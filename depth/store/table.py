"""A listing in words, one line per artifact."""

from __future__ import annotations

from collections.abc import Sequence

from depth.artifact.manifest import Manifest
from depth.console import aligned
from depth.sizes import size_text
from depth.store.catalogue import Row

_HEADING = ("name", "target", "precision", "sizes", "MB", "state", "aliases", "pushed (UTC)")


def table(rows: Sequence[Row]) -> str:
    """Columns of even width, with a heading."""
    return "\n".join(aligned([_HEADING, *map(_cells, rows)]))


def _cells(row: Row) -> tuple[str, ...]:
    entry = row.entry
    return (
        entry.name,
        entry.manifest.target,
        entry.manifest.precision,
        _sizes(entry.manifest),
        f"{entry.size_bytes / 1e6:.1f}",
        entry.state,
        ",".join(row.aliases) or "-",
        row.pushed.strftime("%Y-%m-%d %H:%M"),
    )


def _sizes(manifest: Manifest) -> str:
    """518x518,518x686: the stages and batch sizes of each are left to `inspect`."""
    return ",".join(dict.fromkeys(size_text(program.size) for program in manifest.programs))
