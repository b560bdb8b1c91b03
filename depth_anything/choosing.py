"""`inference.py --choose`: the models in a table, and a question in the terminal."""

from __future__ import annotations

import sys

import click
import typer

from compile.weights import BUNDLED, DEFAULT_MODEL, find
from depth.console import aligned
from depth.errors import InputError, LicenceError
from depth.family import image_models, model_named
from depth.weights import registry
from depth.weights.download import fetch
from depth_anything.checkpoints_cli import HEADER, remarks, row


def chosen_model() -> str:
    """Ask for a model, and for its licence where the user must accept it; fetch its weights.

    Raises InputError without a terminal, LicenceError if the licence is not accepted.
    """
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise InputError("--choose asks in a terminal, and there is none: give --model NAME")
    own = image_models()
    files = {name: file for name, file in registry.published_files().items() if name in own}
    size = f"{BUNDLED.stat().st_size / 1e6:.0f} MB"
    bundled = (DEFAULT_MODEL, size.rjust(7), "yes", "Apache-2.0", "bundled: for tests only")
    rows = [*(row(file, registry.CHECKPOINTS) for file in files.values()), bundled]
    numbered = [(str(number), *cells) for number, cells in enumerate(rows, start=1)]
    for line in [*aligned([("", *HEADER), *numbered]), *remarks(list(files.values()))]:
        typer.echo(line, err=True)
    asked = click.IntRange(1, len(rows))
    number = typer.prompt("Number of the model", type=asked, err=True)
    name = [*files, DEFAULT_MODEL][number - 1]
    if name in files and find(model_named(name)) is None:
        _fetch(files[name])
    return name


def _fetch(file: registry.PublishedFile) -> None:
    if file.needs_acceptance:
        typer.echo(f"{file.model}: {file.licence}. Read {file.page_url}", err=True)
        if not typer.confirm("Do you accept this licence?", err=True):
            raise LicenceError(f"{file.model}: licence not accepted; nothing was downloaded")
    fetch(file, registry.CHECKPOINTS, accept_licence=True)
