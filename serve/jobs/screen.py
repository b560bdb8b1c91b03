"""A job on a screen: a bar while it runs, one line per failure, a closing line."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Callable, Optional

import typer

from depth.command import lost_output
from depth.console import one_line
from serve.jobs.entry import DONE, FAILED, KEPT, TODO, Entry, OnEntry, Report
from serve.jobs.spot import spot_notices
from serve.jobs.stop import Stop, stop_on_signals

if TYPE_CHECKING:
    from rich.progress import Progress

_LINE_EVERY_S = 30.0  # of progress, where there is no terminal


def shown(
    stop: Stop,
    work: Callable[[OnEntry], Report],
    place: Callable[[str], str],
    made: str = "depth",
) -> Report:
    """Run `work` and print its files on stdout, all else on stderr.

    place  where a file of an entry is, by its name, as users write it
    made   what the bar says is made

    SIGTERM, SIGINT and a spot notice request the stop.
    """
    started = time.monotonic()
    with _screen(made) as screen, stop_on_signals(stop), spot_notices(stop):
        report = work(_View(screen, place).show)
    lost = lost_output()  # the exit code is about the images
    if lost:
        typer.echo(f"stdout: {lost}; not every path was printed", err=True)
    typer.echo(closing(report, time.monotonic() - started), err=True)
    return report


@contextmanager
def _screen(made: str) -> Iterator[_Screen]:
    """A bar in a terminal. A line now and then on a pipe or in a log."""
    if sys.stderr is None or not sys.stderr.isatty():  # None: it was closed
        yield _Screen()
        return
    from rich.console import Console  # takes 50 ms that a log does without
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    pace_column = TextColumn("{task.fields[pace]}")
    columns = (TextColumn(made), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    with Progress(*columns, pace_column, console=console, redirect_stdout=False) as bars:
        yield _Terminal(bars)


class _Screen:
    """A pipe or a log."""

    def __init__(self) -> None:
        self._last_s = time.monotonic()

    def say(self, text: str, err: bool = False) -> None:
        """Print a line."""
        typer.echo(text, err=err)

    def progress(self, seen: int, total: int, pace: str) -> None:
        """Show that `seen` of `total` images are dealt with."""
        now_s = time.monotonic()
        if now_s - self._last_s >= _LINE_EVERY_S:
            self._last_s = now_s
            typer.echo(f"{seen} of {total}{f', {pace}' if pace else ''}", err=True)


class _Terminal(_Screen):
    def __init__(self, bars: Progress) -> None:
        super().__init__()
        self._bars = bars
        self._bar = bars.add_task("depth", total=None, pace="")

    def say(self, text: str, err: bool = False) -> None:
        if err or sys.stdout.isatty():  # above the bar, not into it
            self._bars.console.print(text, markup=False, highlight=False, soft_wrap=True)
        else:
            typer.echo(text)

    def progress(self, seen: int, total: int, pace: str) -> None:
        self._bars.update(self._bar, completed=seen, total=total, pace=pace)


class _View:
    """Prints entries and keeps the progress up to date."""

    def __init__(self, screen: _Screen, place: Callable[[str], str]) -> None:
        self._screen = screen
        self._place = place
        self._pace = Pace()
        self._seen = 0

    def show(self, entry: Entry, total: int) -> None:
        if entry.status == FAILED:
            self._screen.say(_about("failed", entry), err=True)
        elif entry.status == TODO:
            self._screen.say(_about("to do", entry))
        else:
            self._screen.say(one_line(self._place(next(iter(entry.outputs)))))
        self._seen += 1
        if entry.status == DONE:
            self._pace.worked(time.monotonic())
        self._screen.progress(self._seen, total, self._pace.text(total - self._seen))


def _about(fate: str, entry: Entry) -> str:
    return f"{fate}: {one_line(entry.image)}: {one_line(entry.reason)}"


class Pace:
    """Images per second and time left, counted over images that took work.

    The clock starts with the first such image: before it, programs are compiled and loaded.
    """

    def __init__(self) -> None:
        self._first_s: Optional[float] = None
        self._after = 0  # images after the first
        self._rate = 0.0

    def worked(self, now_s: float) -> None:
        """Count an image that is finished at this time."""
        if self._first_s is None:
            self._first_s = now_s
            return
        self._after += 1
        self._rate = self._after / max(now_s - self._first_s, 1e-6)

    def text(self, left: int) -> str:
        """Rate and time for `left` more images; "" before the second image."""
        if not self._rate:
            return ""
        rest = timedelta(seconds=round(left / self._rate))
        return f"{self._rate:.1f} images/s, {rest} left"


def closing(report: Report, wall_s: float) -> str:
    """One line: what was done, and how long it took."""
    names = {DONE: "done", KEPT: "already there", TODO: "to do", FAILED: "failed"}
    parts = [f"{report.counts[key]} {name}" for key, name in names.items() if report.counts[key]]
    if report.left:
        parts.append(f"{report.left} left after {report.stopped}")
    gone = f"files of {report.gone} were deleted meanwhile" if report.gone else ""
    rest = "".join(f"; {each}" for each in (gone, report.fits, report.others) if each)
    return f"{', '.join(parts) or '0 done'} in {wall_s:.1f} s{rest}"
