"""A job of masks on a screen: its files and failures, warnings, and where to look."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Optional

import typer

from depth.artifact.manifest import read_artifact
from depth.console import one_line
from depth.errors import InputError
from depth.masks.region import MUCH
from serve.jobs import screen
from serve.jobs.entry import DONE, FAILED
from serve.jobs.stop import Stop
from serve.masks.depths import DepthSource, MadeDepth, StoredDepth
from serve.masks.job import run_masks
from serve.masks.network import InstanceNetwork
from serve.masks.page import write_page
from serve.masks.report import REPORT, Line, MaskReport, report_in
from serve.masks.request import MaskJob

logger = logging.getLogger(__name__)
_SHOWN = 5  # images in a warning


def network_of(
    artifact: Optional[Path],
    classes: Sequence[str],
    confidence: Optional[float],
    allow_failed_parity: bool,
) -> Optional[InstanceNetwork]:
    """What finds instances; None without an artifact. Raises as `InstanceNetwork`."""
    if artifact is None:
        if classes or confidence is not None:
            raise InputError("--class and --confidence need --artifact")
        return None
    return InstanceNetwork(read_artifact(artifact), classes, confidence, allow_failed_parity)


def depth_of(
    folder: Optional[Path], artifact: Optional[Path], allow_failed_parity: bool = False
) -> Optional[DepthSource]:
    """Depth that is stored, or made by an artifact; None if neither is named."""
    if folder is not None and artifact is not None:
        raise InputError("--depth and --depth-artifact: give one of them")
    if artifact is not None:
        return MadeDepth.of(artifact, allow_failed_parity)
    return StoredDepth(folder) if folder is not None else None


def run(job: MaskJob) -> int:
    """Run the job and print; returns the exit code. Raises what `run_masks` raises."""
    stop = Stop()
    with closing(job.depth) if job.depth is not None else nullcontext():
        report = screen.shown(
            stop,
            lambda on_entry: run_masks(job, on_entry, stop),
            lambda name: str(job.output / name),
            made="masks",
        )
    if not job.dry_run:
        with report_in(job.output, writable=True) as log:
            _warn([line for line in log.lines.values() if line.status == DONE])
            if job.preview:
                _page(job.output, log)
        if report.counts[FAILED]:
            typer.echo(f"reasons are in {one_line(str(job.output / REPORT))}", err=True)
    if report.left:
        typer.echo("run the same command again for the rest", err=True)
    return report.exit_code


def _warn(done: Sequence[Line]) -> None:
    """Say that too little is left of some images to align them by."""
    much = sorted((line for line in done if line.masked > MUCH), key=lambda line: -line.masked)
    if not much:
        return
    shown = ", ".join(f"{one_line(line.image)} {100 * line.masked:.0f} %" for line in much[:_SHOWN])
    more = f" and {len(much) - _SHOWN} more" if len(much) > _SHOWN else ""
    typer.echo(
        f"warning: more than {100 * MUCH:.0f} % is masked of {shown}{more}; alignment may find too "
        "few points: mask less",
        err=True,
    )


def _page(folder: Path, log: MaskReport) -> None:
    """Write index.html; a failure is only said: the masks are there without it."""
    try:
        typer.echo(f"to look: {one_line(str(write_page(folder, log)))}", err=True)
    except Exception as error:  # a page for eyes must not fail a job
        logger.warning("index.html is not written: %s", error)
