"""`python -m serve http`: an artifact behind HTTP."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Optional

import click
import typer

from depth.command import path_option
from serve.shapes import POLICIES

TOKEN = "DEPTH_TOKEN"  # noqa: S105 - the name of a variable


def http(
    artifact: list[Path] = typer.Argument(help="One or more artifacts of the same model."),
    host: str = typer.Option("127.0.0.1", help="Address to answer on; 0.0.0.0 for every network."),
    port: int = typer.Option(8000, help="Port to answer on; 0 takes a free port."),
    policy: str = typer.Option(
        "buckets",
        click_type=click.Choice(POLICIES),
        help="exact: upstream's size, which the artifact must have. buckets: its nearest shape.",
    ),
    queue: int = typer.Option(32, help="Requests that may wait; further requests get 429."),
    token_file: Optional[Path] = path_option(
        None, f"File with the token that requests must carry; or set {TOKEN}."
    ),
    allow_unverified: bool = typer.Option(
        False,
        "--allow-unverified",
        help="Serve an artifact whose numbers were not yet measured on its device.",
    ),
) -> None:
    """Answer HTTP requests with depth.

    curl --data-binary @photo.jpg http://127.0.0.1:8000/v1/depth -o depth.png
    """
    from depth.files import read_text
    from serve.engine import Engine
    from serve.jobs.stage import Stage
    from serve.service.model import Model
    from serve.service.models import Models
    from serve.service.server import run
    from serve.service.service import Service
    from serve.service.settings import Settings
    from serve.sources import library_of

    token = os.environ.get(TOKEN) if token_file is None else read_text(token_file, 4096).strip()
    settings = Settings(host, port, queue, token=token)
    library = library_of(artifact, None, Path("artifacts"), None, allow_unverified)
    name = library.any_artifact().manifest.model
    model = Model(name, Stage(Engine(library, policy)), queue)
    run(
        Service(Models(), settings),
        [model],
        lambda url: typer.echo(f"ready: {url}", err=True),
    )
