"""Progress bars on stderr, and tables of text. Loads rich on use."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Callable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, ProgressColumn

Row = Sequence[str]


def say(text: str) -> None:
    """Print one line, for work whose number of steps is not known in advance."""
    _stderr().print(text, highlight=False, soft_wrap=True)


@contextmanager
def steps(total: int) -> Iterator[Callable[[str], None]]:
    """Yields a function to call with the name of each step as it begins.

    total  number of steps
    Shows a bar on a terminal, and one line per step elsewhere.
    """
    console = _stderr()
    if not console.is_terminal:
        yield lambda text: console.print(text, highlight=False, soft_wrap=True)
        return
    from rich import progress as rich

    with _bar(console, rich.MofNCompleteColumn(), rich.TimeElapsedColumn()) as progress:
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
    """Yields a function to call with the number of bytes since the last call.

    Shows a bar on a terminal, and one line elsewhere.
    """
    console = _stderr()
    if not console.is_terminal:
        console.print(f"{text}: {total_bytes / 1e6:.1f} MB", highlight=False, soft_wrap=True)
        yield lambda _: None
        return
    from rich import progress as rich

    columns = (rich.DownloadColumn(), rich.TransferSpeedColumn(), rich.TimeRemainingColumn())
    with _bar(console, *columns) as bar:
        task = bar.add_task(text, total=total_bytes)
        yield lambda size_bytes: bar.advance(task, size_bytes)


def _bar(console: Console, *columns: ProgressColumn) -> Progress:
    """A text, a bar, and these columns."""
    from rich import progress as rich

    text = rich.TextColumn("{task.description}")
    return rich.Progress(text, rich.BarColumn(), *columns, console=console)


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
