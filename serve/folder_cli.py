"""The folder job as people see it: a bar while it runs, one line per failure, a closing line."""

from __future__ import annotations

from typing import Callable

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from serve.batch import DONE, FAILED, KEPT, Entry, OnEntry, Report
from serve.engine import Engine
from serve.folder import REPORT, FolderJob, run_folder


def run(engine: Engine, job: FolderJob) -> int:
    """Run the job and print; returns the exit code. Raises what `run_folder` raises."""
    report = shown(lambda on_entry: run_folder(engine, job, on_entry))
    hint = f", see {job.output / REPORT}" if report.count(FAILED) else ""
    typer.echo(f"{closing(report)}{hint}", err=True)
    return report.exit_code


def shown(work: Callable[[OnEntry], Report]) -> Report:
    """Run `work` under a progress bar, its outputs on stdout and failures on stderr."""
    console = Console(stderr=True)
    columns = (
        TextColumn("depth"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    # On a pipe or in a log the bar would be noise.
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("depth", total=None, start=False)

        def show(entry: Entry, total: int) -> None:
            progress.start_task(task)
            progress.update(task, total=total, advance=1)
            if entry.status == FAILED:
                typer.echo(f"failed: {entry.image}: {entry.reason}", err=True)
            else:
                typer.echo(entry.outputs[0])

        return work(show)


def closing(report: Report) -> str:
    """One line: what was done, and how long it took."""
    names = {DONE: "done", KEPT: "already there", FAILED: "failed"}
    counts = [f"{report.count(status)} {name}" for status, name in names.items()]
    shown_counts = [text for text in counts if not text.startswith("0 ")] or counts[:1]
    return f"{', '.join(shown_counts)} in {report.wall_s:.1f} s"
