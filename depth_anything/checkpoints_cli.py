"""`python main.py checkpoints list` and `... fetch MODEL`: the published checkpoints."""

from __future__ import annotations

from pathlib import Path

import typer

from depth.command import command_line, path_option
from depth.console import Row, aligned
from depth.weights import registry
from depth.weights.download import fetch

app = command_line(no_args_is_help=True)

_FOLDER = path_option(
    registry.CHECKPOINTS,
    "Where the checkpoints are kept. Beside the default, the project's own folder counts too.",
)


@app.callback()
def main() -> None:
    """Published checkpoints: list them, fetch them.

    Start with the smallest one, whose licence allows every use:
    python main.py checkpoints fetch vits
    """


@app.command("list")
def list_checkpoints(folder: Path = _FOLDER) -> None:
    """Every published checkpoint: its licence, and if it is here.

    HERE goes by the size alone; fetch compares the bytes with the published sha256.

    A star: read the licence, then fetch with --accept-licence.

    vitg is missing because its authors have not published it.
    """
    files = list(registry.published_files().values())
    for line in aligned([HEADER, *(row(file, folder) for file in files)]):
        typer.echo(line)
    typer.echo("\n" + "\n".join(remarks(files)))


@app.command("fetch")
def fetch_checkpoint(
    model: str = typer.Argument(help="A model that `list` shows, such as vits."),
    folder: Path = _FOLDER,
    accept_licence: bool = typer.Option(
        False,
        "--accept-licence",
        help="You have read the licence that `list` shows, and accept it. Needed for everything "
        "but plain Apache-2.0.",
    ),
) -> None:
    """Download a checkpoint, compare its sha256, and print its path.

    A checkpoint that is there already is only compared. A download that was
    cut off goes on where it stopped. Nothing is ever asked: safe in scripts.

    HF_ENDPOINT names a mirror of the model hub. HF_HUB_OFFLINE=1 allows no
    network, only what is in FOLDER or in the hub's cache.

    Exit codes: 0 the file is there; 1 it could not be fetched, or has wrong
    bytes; 2 no such model, or its licence has to be accepted first.
    """
    file = registry.published(model)
    typer.echo(f"{file.local_name}: licence {file.licence}", err=True)
    typer.echo(fetch(file, _place(file, folder), accept_licence))


HEADER = ("MODEL", "   SIZE", "HERE", "LICENCE", "FILE")


def row(file: registry.PublishedFile, folder: Path) -> Row:
    """A checkpoint under HEADER. The licence is short; `remarks` has the rest."""
    size = "?" if file.size_bytes is None else f"{file.size_bytes / 1e6:.0f} MB"
    star = " *" * file.needs_acceptance
    here = _here(file, _place(file, folder) / file.local_name)
    return file.model, size.rjust(7), here, _short(file.licence) + star, file.local_name


def remarks(files: list[registry.PublishedFile]) -> list[str]:
    """What the rows of these files leave out."""
    said = ["* read the licence, then fetch with --accept-licence"]
    longer = dict.fromkeys(file.licence for file in files if _short(file.licence) != file.licence)
    for licence in longer:
        names = [file.model for file in files if file.licence == licence]
        said += [f"{', '.join(names)}:", f"  {licence}"]
    unverified = [file.model for file in files if file.sha256 is None]
    if unverified:
        said.append(f"no sha256 is published of {', '.join(unverified)}")
    return said


def _short(licence: str) -> str:
    return licence.split()[0]


def _place(file: registry.PublishedFile, folder: Path) -> Path:
    """The folder that has the file already; else `folder`."""
    there = (p for p in registry.places(folder) if (p / file.local_name).exists())
    return next(there, folder)


def _here(file: registry.PublishedFile, path: Path) -> str:
    if not path.is_file():
        return "no"
    right_size = file.size_bytes in (None, path.stat().st_size)
    return "yes" if right_size else "wrong size"
