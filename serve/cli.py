"""`python -m serve`: run artifacts. Results on stdout, progress and reasons on stderr."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

import typer

from depth.command import command_line, guarded
from depth.store.cli import list_, pull
from serve.bench.cli import bench
from serve.doctor.cli import doctor
from serve.errors import ServeError
from serve.options import (
    DRY_RUN,
    FAIL_FAST,
    FOCAL_PX,
    FORMAT,
    FOV_DEG,
    INPUT,
    INTRINSICS,
    OUTPUT,
    OUTPUT_SIZE,
    PREPROCESS,
    PREVIEW,
    RETRY_FAILED,
    focal_asked,
)

app = command_line(no_args_is_help=True)


@app.callback()
def serve_() -> None:
    """Answer with a compiled artifact: a folder of images becomes depth maps."""


@app.command()
def folder(
    artifact: list[Path] = typer.Argument(help="One or more artifacts of the same model."),
    input: Path = INPUT,  # noqa: A002
    output: Path = OUTPUT,
    format: list[str] = FORMAT,  # noqa: A002
    preview: bool = PREVIEW,
    policy: str = typer.Option(
        "buckets",
        help="exact: upstream's size, which the artifact must have. buckets: its nearest shape.",
    ),
    allow_failed_parity: bool = typer.Option(
        False, help="Serve an artifact whose numbers are known to be wrong."
    ),
    allow_unverified: bool = typer.Option(
        False, help="Serve an artifact whose numbers were not yet measured on its device."
    ),
    focal_px: Optional[float] = FOCAL_PX,
    fov_deg: Optional[float] = FOV_DEG,
    intrinsics: Optional[Path] = INTRINSICS,
    preprocess: str = PREPROCESS,
    output_size: str = OUTPUT_SIZE,
    retry_failed: bool = RETRY_FAILED,
    fail_fast: bool = FAIL_FAST,
    dry_run: bool = DRY_RUN,
) -> None:
    """Every image in a folder to depth files beside their descriptions.

    Prints the depth files.

    Exit code 0 all done, 1 failed, 2 usage, 3 some images failed or left: depth-report.jsonl in the
    output folder says what became of each. Run it again for the rest: what is whole, and made from
    the same bytes with the same settings, is kept. Ctrl-C, SIGTERM or, on EC2, the notice that a
    spot instance is taken back finishes the images under way.
    """
    from depth.artifact.manifest import read_artifact
    from serve.engine import Engine
    from serve.folder.cli import run
    from serve.folder.request import FolderJob
    from serve.library import Library

    focal = focal_asked(focal_px, fov_deg, intrinsics)
    library = Library(
        map(read_artifact, artifact),
        allow_failed_parity=allow_failed_parity,
        allow_unverified=allow_unverified,
    )
    job = FolderJob(
        input,
        output,
        formats=format,
        preview=preview,
        retry_failed=retry_failed,
        fail_fast=fail_fast,
        dry_run=dry_run,
    )
    with Engine(
        library, policy, preprocess=preprocess, output_size=output_size, focal=focal
    ) as engine:
        raise typer.Exit(run(engine, job))


app.command("pull")(pull)
app.command("list")(list_)
app.command("bench")(bench)
app.command("doctor")(doctor)


def main() -> None:
    """Run the command line."""
    guarded(app, "python -m serve", ServeError)
