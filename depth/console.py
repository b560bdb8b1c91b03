"""Bars on stderr for what takes seconds, and tables of text. Loads rich on use."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Callable

if TYPE_CHECKING:
    from rich.console import Console

Row = Sequence[str]


def say(text: str) -> None:
    """One line, for work whose steps are not known before."""
    _stderr().print(text, highlight=False, soft_wrap=True)


@contextmanager
def steps(total: int) -> Iterator[Callable[[str], None]]:
    """Yields a function to call with what begins now; `total` is how often it will be called.

    On a terminal a bar; elsewhere one line per step.
    """
    console = _stderr()
    if not console.is_terminal:
        yield lambda text: console.print(text, highlight=False, soft_wrap=True)
        return
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
    )

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), console=console) as progress:
        task = progress.add_task("starting", total=total)
        begun = 0

        def step(text: str) -> None:
            nonlocal begun
            progress.update(task, description=text, completed=begun)
            begun += 1

        yield step
        progress.update(task, description="done", completed=total)


@contextmanager
def transfer(text: str, total_bytes: int) -> Iterator[Callable[[int], None]]:
    """Yields a function to call with each number of bytes done. On no terminal: one line."""
    console = _stderr()
    if not console.is_terminal:
        console.print(f"{text}: {total_bytes / 1e6:.1f} MB", highlight=False, soft_wrap=True)
        yield lambda _: None
        return
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, TransferSpeedColumn(), TimeRemainingColumn(), console=console) as bar:
        task = bar.add_task(text, total=total_bytes)
        yield lambda size_bytes: bar.advance(task, size_bytes)


def _stderr() -> Console:
    from rich.console import Console

    return Console(stderr=True)


def aligned(rows: Sequence[Row], gap: str = "  ") -> list[str]:
    """Lines with columns as wide as their longest cell; all rows have as many cells."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    return [
        gap.join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows
    ]


def markdown(heading: Row, rows: Sequence[Row], right: Collection[int] = ()) -> list[str]:
    """Lines of a Markdown table; `right`: the columns, from 0, of numbers that end at the right."""
    ruler = ["--:" if column in right else "---" for column in range(len(heading))]
    return [f"| {' | '.join(row)} |" for row in (heading, ruler, *rows)]
