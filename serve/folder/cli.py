"""The folder job on a screen: its files and failures, and where to look."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Callable, Optional

import typer

from depth.console import one_line
from serve.engine import Engine
from serve.folder.index import write_index
from serve.folder.job import run_folder
from serve.folder.manifest import MANIFEST
from serve.folder.request import FolderJob
from serve.jobs import screen
from serve.jobs.entry import FAILED, OnEntry, Report
from serve.jobs.stop import Stop

logger = logging.getLogger(__name__)


def run(
    engine: Engine, job: FolderJob, stop: Stop, work: Optional[Callable[[OnEntry], Report]] = None
) -> int:
    """Run the job and print; returns the exit code. Raises what `run_folder` raises.

    work  runs the job; by default `run_folder`

    With previews, index.html shows what is there, however the job ends.
    """
    page: Optional[Path] = None
    work = work or (lambda on_entry: run_folder(engine, job, on_entry, stop))
    try:
        report = shown(job.output, stop, work)
    finally:
        if job.preview and not job.dry_run:
            page = _index(job.output)
    if report.counts[FAILED] and not job.dry_run:
        typer.echo(f"reasons are in {one_line(str(job.output / MANIFEST))}", err=True)
    if report.left or report.gone:
        typer.echo("run the same command again for the rest", err=True)
    if page is not None:
        typer.echo(f"to look: {one_line(str(page))}", err=True)
    return report.exit_code


def _index(folder: Path) -> Optional[Path]:
    """Write index.html; a failure is only said: the depth files are there without it."""
    try:
        return write_index(folder)
    except Exception as error:  # a page for eyes must not fail a job
        logger.warning("index.html is not written: %s", error)
        return None


def shown(output: Path, stop: Stop, work: Callable[[OnEntry], Report]) -> Report:
    """As `screen.shown`, of files in the folder `output`."""
    return screen.shown(stop, work, lambda name: str(output / name))
