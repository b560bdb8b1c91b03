"""`python -m serve`: run artifacts. Results on stdout, progress and reasons on stderr."""

from __future__ import annotations

from pathlib import Path

import typer

from depth_anything_v2.command import guarded
from serve.errors import ServeError

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def serve_() -> None:
    """Answer with a compiled artifact: a folder of images becomes depth maps."""


@app.command()
def folder(
    artifact: list[Path] = typer.Argument(help="One or more artifacts of the same model."),
    input: Path = typer.Option(Path("input_images"), help="Folder of images."),  # noqa: A002
    output: Path = typer.Option(Path("output_depth"), help="Folder that receives depth files."),
    format: list[str] = typer.Option(  # noqa: A002
        ["png"], help="png (16-bit), npy, npz, pfm, exr or tiff. Repeat it for several."
    ),
    preview: bool = typer.Option(False, help="Also write a colour picture of each depth map."),
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
) -> None:
    """Every image in a folder to depth files beside their descriptions.

    Prints the depth files. Exit code 0 all done, 1 failed, 3 some images failed: depth-report.jsonl
    in the output folder names each with its reason.
    """
    from depth_anything_v2.artifact import read_artifact
    from serve.engine import Engine
    from serve.folder import FolderJob
    from serve.folder_cli import run
    from serve.library import STREAMS, Library

    library = Library(
        map(read_artifact, artifact),
        allow_failed_parity=allow_failed_parity,
        allow_unverified=allow_unverified,
        streams=STREAMS,
    )
    engine = Engine(library, policy)
    raise typer.Exit(run(engine, FolderJob(input, output, format, preview)))


def main() -> None:
    """Run the command line."""
    guarded(app, "python -m serve", ServeError)
