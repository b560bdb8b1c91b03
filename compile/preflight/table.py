"""A table in two dresses: aligned columns for a terminal, Markdown for a report."""

from __future__ import annotations

from collections.abc import Sequence

Row = Sequence[str]


def aligned(heading: Row, rows: Sequence[Row]) -> list[str]:
    """Lines with columns as wide as their longest cell."""
    widths = [max(len(row[i]) for row in (heading, *rows)) for i in range(len(heading))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()
        for row in (heading, *rows)
    ]


def markdown(heading: Row, rows: Sequence[Row]) -> list[str]:
    """Lines of a Markdown table."""
    ruler = ["---"] * len(heading)
    return [f"| {' | '.join(row)} |" for row in (heading, ruler, *rows)]
