"""`python -m serve http`: artifacts behind HTTP."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Optional

import click
import typer

from depth.command import choice_option, path_option, takes_options
from depth.errors import InputError
from serve.shapes import POLICIES

if TYPE_CHECKING:
    from serve.service.model import Model
    from serve.service.settings import Settings


@dataclass(frozen=True)
class HttpOptions:
    """What an operator says of a service. The defaults are typer's: a command gives every value."""

    model: Optional[list[str]] = typer.Option(
        None, metavar="NAME=FOLDER", help="A further model. Repeat it; the first is the default."
    )
    host: str = typer.Option("127.0.0.1", help="Address to answer on; 0.0.0.0 for every network.")
    port: int = typer.Option(8000, help="Port to answer on; 0 takes a free port.")
    policy: str = typer.Option(
        "buckets",
        click_type=click.Choice(POLICIES),
        help="exact: upstream's size, which the artifact must have. buckets: its nearest shape.",
    )
    preprocess: str = choice_option(
        "reference", ("reference", "fast"), "As for folder jobs: fast reads large JPEGs reduced."
    )
    output_size: str = choice_option(
        "full", ("full", "model"), "Size of maps of requests that name none: the image's, or less."
    )
    queue: int = typer.Option(32, help="Requests that may wait; further requests get 429.")
    max_body_mb: float = typer.Option(200.0, help="Largest body; larger bodies get 413.")
    body_timeout_s: float = typer.Option(
        30.0, help="Seconds for headers, and again for a body, to arrive; then 408."
    )
    deadline_s: float = typer.Option(60.0, help="Seconds in which the network has to begin.")
    drain_s: float = typer.Option(60.0, help="Seconds for accepted requests after SIGTERM.")
    token_file: Optional[Path] = path_option(
        None, "File with the token that requests must carry; or set DEPTH_TOKEN."
    )
    no_token: bool = typer.Option(
        False, "--no-token", help="Answer a network without a token. Loopback needs none."
    )
    allow_host: Optional[list[str]] = typer.Option(
        None,
        metavar="NAME",
        help="A host name that callers may use, besides this machine's own. Repeat it.",
    )
    tls_certificate: Optional[Path] = path_option(None, "PEM file: answer HTTPS.")
    tls_key: Optional[Path] = path_option(None, "PEM file with the certificate's key.")
    jobs: Optional[Path] = path_option(
        None, "Folder that keeps batch jobs and their results; without it there is no /v1/batch."
    )
    log: str = choice_option("text", ("text", "json"), "Lines on stderr.")
    allow_unverified: bool = typer.Option(
        False,
        "--allow-unverified",
        help="Serve an artifact whose numbers were not yet measured on its device.",
    )

    def settings(self) -> Settings:
        """Raises InputError for what no service can have."""
        from serve.service.settings import Settings
        from serve.service.token import token_of

        return Settings(
            self.host,
            self.port,
            self.queue,
            max_body_bytes=round(self.max_body_mb * 1e6),
            body_timeout_s=self.body_timeout_s,
            deadline_s=self.deadline_s,
            drain_s=self.drain_s,
            token=token_of(self.token_file, os.environ),
            no_token=self.no_token,
            allow_hosts=tuple(self.allow_host or ()),
            tls_certificate=self.tls_certificate,
            tls_key=self.tls_key,
            jobs=self.jobs,
        )

    def opened(self, name: Optional[str], folders: list[Path]) -> Model:
        """A model over artifacts; its name is theirs by default. Raises as `library_of`."""
        from serve.engine import Engine
        from serve.jobs.stage import Stage
        from serve.service.model import Model
        from serve.sources import library_of

        library = library_of(folders, None, Path("artifacts"), None, self.allow_unverified)
        engine = Engine(
            library, self.policy, preprocess=self.preprocess, output_size=self.output_size
        )
        return Model(name or library.any_artifact().manifest.model, Stage(engine), self.queue)


@takes_options(HttpOptions)
def http(
    options: HttpOptions,
    artifact: Optional[list[Path]] = typer.Argument(
        None, help="One or more artifacts of the same model, which answers under its own name."
    ),
) -> None:
    """Answer HTTP requests with depth.

    curl --data-binary @photo.jpg http://127.0.0.1:8000/v1/depth -o depth.png

    The page is at / and the description of every path at /docs. /readyz gives 200 once every model
    has run on every core. SIGTERM finishes the accepted requests and ends with exit code 0.
    """
    from serve.service.asgi.logs import log_to_stderr, say_ready
    from serve.service.models import Models
    from serve.service.server import run
    from serve.service.service import Service

    service = Service(Models(), options.settings())
    given = named(artifact or [], options.model or [])
    models = [options.opened(name, folders) for name, folders in given]
    log_to_stderr(options.log)
    run(service, models, lambda url: say_ready(url, options.log))


def named(artifacts: list[Path], models: list[str]) -> list[tuple[Optional[str], list[Path]]]:
    """Names and folders of the models. Raises InputError for none, and for a name given twice."""
    found: list[tuple[Optional[str], list[Path]]] = [(None, artifacts)] if artifacts else []
    for text in models:
        name, equals, folder = text.partition("=")
        if not (name and equals and folder):
            raise InputError(f"--model {text}: expected NAME=FOLDER, as in street=artifacts/vits")
        if name in dict(found):
            raise InputError(f"--model {text}: the name {name} is given twice")
        found.append((name, [Path(folder).expanduser()]))
    if not found:
        raise InputError("no model: give a folder of an artifact, or --model NAME=FOLDER")
    return found
