"""`python -m serve bench`: how fast artifacts answer on this machine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Optional

import typer

from depth.command import ends_on_sigterm
from depth.errors import InputError
from depth.files import write_whole
from depth.sizes import parse_size
from depth.store.cli import IDENTITIES
from serve.errors import NoImagesError

if TYPE_CHECKING:
    from depth.artifact.manifest import Artifact
    from serve.bench.run import Subject


def bench(
    artifact: list[Path] = typer.Argument(help="An artifact, or two to compare in one run."),
    images: Path = typer.Option(
        Path("input_images"), help="Folder of images for the measurement from end to end."
    ),
    size: Optional[str] = typer.Option(
        None,
        help="HEIGHTxWIDTH in px of the program that the network alone is measured with; by "
        "default the first that every artifact has.",
    ),
    rounds: int = typer.Option(5, min=1, help="Rounds that count; artifacts take turns in each."),
    warm_up: int = typer.Option(1, min=0, help="Rounds before them, which do not count."),
    runs: int = typer.Option(20, min=1, help="Runs of the network per round."),
    starts: int = typer.Option(3, min=1, help="Cold starts: new processes per artifact."),
    streams: Optional[list[int]] = typer.Option(
        None,
        min=1,
        help="Runs at once, for the throughput. Repeat it; by default 1, 2 and the CPU's cores, or "
        "1, one and two for each core of a chip.",
    ),
    json: Optional[Path] = typer.Option(None, help="Write every sample to this file as well."),
    identity: Optional[list[str]] = IDENTITIES,
    allow_failed_parity: bool = typer.Option(
        False,
        "--allow-failed-parity",
        help="Measure an artifact whose numbers are known to be wrong.",
    ),
    allow_unverified: bool = typer.Option(
        False,
        "--allow-unverified",
        help="Measure an artifact whose numbers were not yet measured on its device.",
    ),
) -> None:
    """Measure how fast artifacts answer.

    Cold start, latency, throughput, memory, and a folder of images from end to end.

    The network alone and the way from images to depth files are measured separately. Two artifacts
    take turns; their ratio is that of the medians, with the range of single rounds in brackets.
    """
    from depth.console import steps
    from depth.images.listing import list_images
    from serve.bench.report import Settings
    from serve.bench.run import measure, steps_of
    from serve.bench.table import text

    if not list_images(images):
        raise NoImagesError(f"{images}: no images in it to measure with; name others with --images")
    if json is not None and not json.parent.is_dir():
        raise InputError(f"{json.parent}: no such folder to write {json.name} to; make it first")
    found = subjects(artifact, identity, size, allow_failed_parity, allow_unverified)
    at_once = tuple(dict.fromkeys(streams or runs_at_once(found[0].artifact)))
    settings = Settings(rounds, warm_up, runs, starts, at_once, images)
    with ends_on_sigterm(), steps(steps_of(settings)) as step:  # not leaving a cold start behind
        report = measure(found, settings, step)
    if json is not None:
        write_whole(json, report.json())
    typer.echo(text(report))


def runs_at_once(artifact: Artifact) -> list[int]:
    """One run, and as many as keep all cores busy."""
    from serve.backend import core_count
    from serve.runtimes.neuron_cores import RUNS_PER_CORE

    cores = core_count(artifact)
    if cores is None:
        return sorted({1, 2, len(os.sched_getaffinity(0))})
    return sorted({1, cores, RUNS_PER_CORE * cores})


def subjects(
    folders: list[Path],
    identities: Optional[list[str]],
    size: Optional[str],
    allow_failed_parity: bool,
    allow_unverified: bool,
) -> list[Subject]:
    """What is to be measured. Raises InputError for what does not go together."""
    from depth.artifact.manifest import read_artifacts
    from serve.bench.run import Subject, common_size
    from serve.library import Library

    if len(folders) > 2:
        raise InputError(f"{len(folders)} artifacts: give one, or two to compare")
    artifacts = read_artifacts(folders, identities)
    wanted = parse_size(size, artifacts[0].manifest.size.check) if size else None
    chosen = common_size(artifacts, wanted)
    libraries = [Library([a], None, allow_failed_parity, allow_unverified) for a in artifacts]
    return [Subject(one, library, chosen) for one, library in zip(artifacts, libraries)]
