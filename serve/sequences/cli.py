"""The sequence job on a screen: bars, failures, the flicker before and after, and the files."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Callable, Optional

import typer

from depth.console import counted, one_line
from depth.errors import InputError
from serve.engine import Engine
from serve.folder.manifest import MANIFEST
from serve.folder.options import FolderOptions
from serve.folder.request import FolderJob
from serve.jobs.entry import FAILED, TODO
from serve.jobs.screen import closing
from serve.jobs.spot import spot_notices
from serve.jobs.stop import Stop, stop_on_signals

if TYPE_CHECKING:
    from serve.sequences.job import SequenceReport
    from serve.sequences.record import Record


def asked_for(options: FolderOptions) -> bool:
    """Whether the images are frames of a sequence. Raises InputError for its options without it."""
    given = {"--range": options.range, "--align": options.align, "--fps": options.fps}
    for name, value in given.items():
        if value is not None and not options.sequence:
            raise InputError(f"{name}: an option of frames in order: give --sequence too")
    return options.sequence


def run(engine: Engine, options: FolderOptions, job: FolderJob, stop: Stop) -> int:
    """Run the job and print; returns the exit code. Raises what `run_sequence` raises."""
    from serve.sequences.job import run_sequence
    from serve.sequences.request import SequenceJob

    chosen: dict[str, Any] = {"ranges": options.range, "align": options.align, "fps": options.fps}
    given = {name: value for name, value in chosen.items() if value is not None}
    sequence = SequenceJob(job, **given)
    began_s = time.monotonic()
    with stop_on_signals(stop), spot_notices(stop), _bars() as show:
        report = run_sequence(engine, sequence, show, stop)
    _print(report, job)
    typer.echo(closing(report, time.monotonic() - began_s), err=True)
    if report.counts[FAILED] and not job.dry_run:
        typer.echo(f"reasons are in {one_line(str(job.output / MANIFEST))}", err=True)
    if report.left:
        typer.echo("run the same command again for the rest", err=True)
    return report.exit_code


@contextmanager
def _bars() -> Iterator[Callable[[str, Record, Optional[int]], None]]:
    """A bar for each pass, which begins when its first frame is done."""
    with ExitStack() as stack:
        bars: dict[str, Callable[[int], None]] = {}
        done: dict[str, int] = {}

        def show(what: str, record: Record, total: Optional[int]) -> None:
            if what not in bars:
                stack.close()
                bars[what] = stack.enter_context(counted(what, total))
            done[what] = done.get(what, 0) + 1
            bars[what](done[what])
            if record.status in (FAILED, TODO) and what not in record.reason:
                _say(record)

        yield show


def _say(record: Record) -> None:
    fate = "failed" if record.status == FAILED else "to do"
    typer.echo(f"{fate}: {one_line(record.name)}: {one_line(record.reason)}", err=True)


def _print(report: SequenceReport, job: FolderJob) -> None:
    """The files on stdout, the rest on stderr."""
    for path in report.files:
        typer.echo(one_line(str(path)))
    if report.files:
        typer.echo(f"frames: {one_line(str(job.output / 'frames'))}", err=True)
    for note in report.notes:
        typer.echo(note, err=True)
    if report.shots > 1:
        typer.echo(f"{report.shots} shots", err=True)
    line = flicker_line(report.flicker)
    if line:
        typer.echo(line, err=True)


def flicker_line(figures: dict[str, Optional[float]]) -> str:
    """Such as "flicker 0.031 → 0.012 (−61 %)"; "" without two frames of a shot."""
    before, after, own = (figures.get(name) for name in ("before", "after", "own_range"))
    if before is None or after is None:
        return ""
    change = f" ({100 * (after / before - 1):+.0f} %)" if before else ""
    beside = "" if own is None else f"; {own:.3f} if each frame had its own range"
    return f"flicker {before:.3f} → {after:.3f}{change.replace('-', '−')}{beside}"
