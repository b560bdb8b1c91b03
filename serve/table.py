"""Aligned columns for a terminal."""

from __future__ import annotations

from collections.abc import Sequence


def aligned(rows: Sequence[Sequence[str]], gap: str = "  ") -> list[str]:
    """Lines with columns as wide as their longest cell; all rows have as many cells."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    return [
        gap.join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows
    ]
