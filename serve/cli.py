"""`python -m serve`: run artifacts. Results on stdout, progress and reasons on stderr."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

import click
import typer

from depth.command import path_option
from depth.store.cli import IDENTITIES, list_, pull
from serve.bench.cli import bench
from serve.doctor.cli import doctor
from serve.fetch.cli import fetch
from serve.folder.options import FolderOptions, takes_folder_options
from serve.folder.panoramas import PanoramaOptions, takes_panorama_options
from serve.masks.cli import masks
from serve.ray.cli import ray
from serve.s3.cli import s3
from serve.service.cli import http
from serve.shapes import POLICIES
from serve.sidecar.cli import sidecar
from serve.start import without_commands

app = without_commands()

_FAILED_PARITY = typer.Option(
    False, "--allow-failed-parity", help="Serve an artifact whose numbers are known to be wrong."
)
_UNVERIFIED = typer.Option(
    False,
    "--allow-unverified",
    help="Serve an artifact whose numbers were not yet measured on its device.",
)


@app.command()
@takes_folder_options
def folder(
    options: FolderOptions,
    artifact: list[Path] = typer.Argument(help="One or more artifacts of the same model."),
    policy: str = typer.Option(
        "buckets",
        click_type=click.Choice(POLICIES),
        help="exact: upstream's size, which the artifact must have. buckets: its nearest shape.",
    ),
    identity: Optional[list[str]] = IDENTITIES,
    allow_failed_parity: bool = _FAILED_PARITY,
    allow_unverified: bool = _UNVERIFIED,
) -> None:
    """Make depth files of every image in a folder.

    Prints the depth files. Each has its description beside it, a .json file.

    Exit code 0 all done, 1 failed, 2 usage, 3 some images failed or left: depth-report.jsonl in the
    output folder says what became of each. Run it again for the rest: what is whole, and made from
    the same bytes with the same settings, is kept. Ctrl-C, SIGTERM or, on EC2, the notice that a
    spot instance is taken back finishes the images under way.
    """
    from depth.artifact.manifest import read_artifacts
    from serve.folder.cli import run
    from serve.jobs.stop import Stop
    from serve.library import Library
    from serve.sequences import cli as sequences

    focal, sequence = options.focal(), sequences.asked_for(options)
    library = Library(
        read_artifacts(artifact, identity),
        allow_failed_parity=allow_failed_parity,
        allow_unverified=allow_unverified,
    )
    with options.engine(library, policy, focal) as engine:
        if sequence:
            raise typer.Exit(sequences.run(engine, options, options.job(), Stop()))
        raise typer.Exit(run(engine, options.job(), Stop()))


@app.command()
@takes_panorama_options
def panorama(
    options: PanoramaOptions,
    artifact: list[Path] = path_option(
        ..., "An artifact with a program for square images. Repeat it for several.", "--artifact"
    ),
    identity: Optional[list[str]] = IDENTITIES,
    allow_failed_parity: bool = _FAILED_PARITY,
    allow_unverified: bool = _UNVERIFIED,
) -> None:
    """Make depth of 360-degree images and videos.

    All views of a panorama take one program: that of the shape nearest to a square. Files and exit
    codes are those of `python main.py panorama`, which builds its programs itself.
    """
    from depth.artifact.manifest import read_artifacts
    from serve.jobs.stop import Stop
    from serve.library import Library
    from serve.panoramas.asked import maps_of_panoramas
    from serve.shapes import BUCKETS

    options.asked()
    library = Library(
        read_artifacts(artifact, identity),
        allow_failed_parity=allow_failed_parity,
        allow_unverified=allow_unverified,
    )
    outputs = library.any_artifact().manifest.outputs
    job = options.job(maps=maps_of_panoramas(output.name for output in outputs))
    raise typer.Exit(options.run(library, job, Stop(), BUCKETS))


app.command("http")(http)
app.command("masks")(masks)
app.command("s3")(s3)
app.command("ray")(ray)
app.command("fetch")(fetch)
app.command("pull")(pull)
app.command("list")(list_)
app.command("bench")(bench)
app.command("doctor")(doctor)
app.command("sidecar")(sidecar)
