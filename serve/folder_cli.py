"""The folder job as people see it: a bar while it runs, one line per failure, a closing line."""

from __future__ import annotations

import time
from typing import Callable

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from serve.batch import DONE, FAILED, KEPT, TODO, Entry, OnEntry, Report
from serve.engine import Engine
from serve.folder import FolderJob, run_folder
from serve.job_manifest import MANIFEST
from serve.pace import Pace
from serve.spot import spot_notices
from serve.stop import Stop, stop_on_signals

_LINE_EVERY_S = 30.0  # of progress, where there is no terminal


def run(engine: Engine, job: FolderJob) -> int:
    """Run the job and print; returns the exit code. Raises what `run_folder` raises."""
    report = shown(lambda on_entry, stop: run_folder(engine, job, on_entry, stop))
    if report.counts[FAILED] and not job.dry_run:
        typer.echo(f"reasons are in {job.output / MANIFEST}", err=True)
    if report.left:
        typer.echo("run the same command again for the rest", err=True)
    return report.exit_code


def shown(work: Callable[[OnEntry, Stop], Report]) -> Report:
    """Run `work`: outputs on stdout; progress, failures and a closing line on stderr.

    SIGTERM, SIGINT and a spot notice stop it: images under way are finished.
    """
    started = time.monotonic()
    console = Console(stderr=True)
    columns = (
        TextColumn("depth"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[pace]}"),
    )
    # On a pipe or in a log the bar would be noise.
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        view = _View(progress, lines=not console.is_terminal)
        with stop_on_signals() as stop, spot_notices(stop):
            report = work(view.show, stop)
    typer.echo(closing(report, time.monotonic() - started), err=True)
    return report


class _View:
    """Prints entries and keeps the progress up to date."""

    def __init__(self, progress: Progress, lines: bool) -> None:
        self._progress = progress
        self._bar = progress.add_task("depth", total=None, pace="")
        self._lines = lines
        self._pace = Pace()
        self._seen = 0
        self._last_line_s = time.monotonic()

    def show(self, entry: Entry, total: int) -> None:
        _print(entry)
        self._seen += 1
        now_s = time.monotonic()
        if entry.status == DONE:
            self._pace.worked(now_s)
        pace = self._pace.text(total - self._seen)
        self._progress.update(self._bar, total=total, advance=1, pace=pace)
        if self._lines and now_s - self._last_line_s >= _LINE_EVERY_S:
            self._last_line_s = now_s
            typer.echo(f"{self._seen} of {total}, {pace or 'looking'}", err=True)


def _print(entry: Entry) -> None:
    if entry.status == FAILED:
        typer.echo(f"failed: {entry.image}: {entry.reason}", err=True)
    elif entry.status == TODO:
        typer.echo(f"to do: {entry.image}: {entry.reason}")
    else:
        typer.echo(entry.outputs[0])


def closing(report: Report, wall_s: float) -> str:
    """One line: what was done, and how long it took."""
    names = {DONE: "done", KEPT: "already there", TODO: "to do", FAILED: "failed"}
    parts = [f"{report.counts[key]} {name}" for key, name in names.items() if report.counts[key]]
    if report.left:
        parts.append(f"{report.left} left after {report.stopped}")
    return f"{', '.join(parts) or '0 done'} in {wall_s:.1f} s"
