"""Progress bars on stderr, and tables of text. Loads rich on use."""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING, Callable, Optional

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, ProgressColumn

Row = Sequence[str]
_LONG = 10  # steps from which on a line says how many are left
# ASCII's and Latin-1's control characters but the line feed, and what turns the order of a line.
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
_USER = re.compile(r"(?<=://)[^\s'\"]*@")


def printable(text: str) -> str:
    """The text as a terminal and a log may have it: control characters escaped, no passwords."""
    return _CONTROL.sub(lambda found: ascii(found[0])[1:-1], without_user(text))


def one_line(text: str) -> str:
    """The same with line feeds escaped too, for a file's name."""
    return printable(text).replace("\n", "\\n")


def without_user(text: str) -> str:
    """The text with user names and passwords cut out of its URLs."""
    return _USER.sub("", text)


def say(text: str) -> None:
    """Print one line, for work whose number of steps is not known in advance."""
    _line(_stderr(), text)


@contextmanager
def steps(total: int) -> Iterator[Callable[[str], None]]:
    """Yields a function to call with the name of each step as it begins.

    total  number of steps
    Shows a bar on a terminal, and one line per step elsewhere. Of long work, the lines say how much
    is left, as if every step took as long as those before it.
    """
    console = _stderr()
    if not console.is_terminal:
        started_s, begun_steps = time.monotonic(), count()

        def line(text: str) -> None:
            done = next(begun_steps)
            passed_s = time.monotonic() - started_s
            _line(console, text + (_left(done, total, passed_s) if total >= _LONG else ""))

        yield line
        return
    from rich import progress as rich

    columns = (rich.MofNCompleteColumn(), rich.TimeElapsedColumn(), rich.TimeRemainingColumn())
    with _bar(console, *columns) as progress:
        task = progress.add_task("starting", total=total)
        begun = 0

        def step(text: str) -> None:
            nonlocal begun
            progress.update(task, description=text, completed=begun)
            begun += 1

        yield step
        progress.update(task, description="done", completed=total)


def _left(done: int, total: int, passed_s: float) -> str:
    rest = timedelta(seconds=round(passed_s / done * (total - done))) if done else None
    return f" ({done + 1} of {total}{'' if rest is None else f', about {rest} left'})"


@contextmanager
def counted(text: str, total: Optional[int]) -> Iterator[Callable[[int], None]]:
    """Yields a function to call with the number of things that are done.

    total  how many there are; None if nobody knows
    Shows a bar on a terminal, and elsewhere one line.
    """
    console = _stderr()
    if not console.is_terminal:
        _line(console, f"{text}: {'unknown number' if total is None else total}")
        yield lambda _: None
        return
    from rich import progress as rich

    with _bar(console, rich.MofNCompleteColumn(), rich.TimeRemainingColumn()) as progress:
        task = progress.add_task(text, total=total)
        yield lambda done: progress.update(task, completed=done)


@contextmanager
def transfer(text: str, total_bytes: int) -> Iterator[Callable[[int], None]]:
    """Yields a function to call with the number of bytes since the last call.

    Shows a bar on a terminal, and elsewhere one line: what is there already is not sent.
    """
    console = _stderr()
    if not console.is_terminal:
        _line(console, f"{text}: up to {total_bytes / 1e6:.1f} MB")
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

    text = rich.TextColumn("{task.description}", markup=False)
    return rich.Progress(text, rich.BarColumn(), *columns, console=console)


def _line(console: Console, text: str) -> None:
    console.print(printable(text), markup=False, highlight=False, soft_wrap=True)


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
