"""The folder job as people see it: a bar while it runs, one line per failure, a closing line."""

from __future__ import annotations

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

from serve.engine import Engine
from serve.folder import DONE, FAILED, KEPT, REPORT, Entry, FolderJob, Report, run_folder


def run(engine: Engine, job: FolderJob) -> int:
    """Run the job and print; returns the exit code. Raises what `run_folder` raises."""
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
        task = progress.add_task("depth", total=None)

        def show(entry: Entry, total: int) -> None:
            progress.update(task, total=total, advance=1)
            if entry.status == FAILED:
                typer.echo(f"failed: {entry.image}: {entry.reason}", err=True)
            else:
                typer.echo(str(job.output / entry.outputs[0]))

        try:
            report = run_folder(engine, job, show)
        finally:
            engine.close()
    typer.echo(_closing(report, job), err=True)
    return report.exit_code


def _closing(report: Report, job: FolderJob) -> str:
    done, kept, failed = (report.count(status) for status in (DONE, KEPT, FAILED))
    parts = [f"{done} done"]
    if kept:
        parts.append(f"{kept} already there")
    if failed:
        parts.append(f"{failed} failed, see {job.output / REPORT}")
    return f"{', '.join(parts)}; {report.wall_s:.1f} s"
