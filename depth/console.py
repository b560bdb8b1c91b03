"""A progress bar on stderr for steps that take seconds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Callable

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from depth.store.objects import OnBytes


def say(text: str) -> None:
    """One line, for work whose steps are not known before."""
    Console(stderr=True).print(text, highlight=False, soft_wrap=True)


@contextmanager
def steps(total: int) -> Iterator[Callable[[str], None]]:
    """Yields a function to call with what begins now; `total` is how often it will be called.

    On a terminal a bar; elsewhere one line per step.
    """
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda text: console.print(text, highlight=False, soft_wrap=True)
        return
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
def transfer(text: str, total_bytes: int) -> Iterator[OnBytes]:
    """Yields a function to call with each number of bytes done. On no terminal: one line."""
    console = Console(stderr=True)
    if not console.is_terminal:
        console.print(f"{text}: {total_bytes / 1e6:.1f} MB", highlight=False, soft_wrap=True)
        yield lambda _: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, TransferSpeedColumn(), TimeRemainingColumn(), console=console) as bar:
        task = bar.add_task(text, total=total_bytes)
        yield lambda size_bytes: bar.advance(task, size_bytes)


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
