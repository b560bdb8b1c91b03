"""A listing in words, one line per artifact."""

from __future__ import annotations

from collections.abc import Sequence

from compile.store.catalogue import Row
from depth_anything_v2.artifact import Manifest
from depth_anything_v2.sizes import size_text

_HEADING = ("name", "target", "precision", "sizes", "MB", "state", "aliases", "pushed (UTC)")


def table(rows: Sequence[Row]) -> str:
    """Columns of even width, with a heading."""
    cells = [_HEADING, *map(_cells, rows)]
    widths = [max(map(len, column)) for column in zip(*cells)]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in cells)


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
