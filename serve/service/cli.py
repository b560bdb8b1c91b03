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
    from serve.library import Library
    from serve.service.model import Model
    from serve.service.scenes.backend import Backend
    from serve.service.settings import Settings
    from serve.service.sources import Source


@dataclass(frozen=True)
class HttpOptions:
    """What an operator says of a service. The defaults are typer's: a command gives every value."""

    model: Optional[list[str]] = typer.Option(
        None,
        metavar="NAME=PLACE",
        help="A further model: NAME=FOLDER or NAME=STORE#ALIAS. Repeat it; the first is the "
        "default.",
    )
    poll_s: float = typer.Option(
        30.0, help="Seconds between looks at aliases: a model follows its alias. 0 never looks."
    )
    pulled_to: Path = path_option(Path("artifacts"), "Folder for artifacts of stores.")
    endpoint_url: Optional[str] = typer.Option(
        None, help="S3 server other than AWS; by default what the AWS settings say."
    )
    model_control: bool = typer.Option(
        False, "--model-control", help="Let callers load and unload these models."
    )
    host: str = typer.Option("127.0.0.1", help="Address to answer on; 0.0.0.0 for every network.")
    port: int = typer.Option(8000, help="Port to answer on; 0 takes a free port.")
    grpc_port: Optional[int] = typer.Option(
        None, help="Port for gRPC, at the same address; 0 takes a free port. By default none."
    )
    grpc_message_mb: float = typer.Option(64.0, help="Largest gRPC message of a caller.")
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
    scenes: Optional[list[Path]] = typer.Option(
        None,
        metavar="ARTIFACT",
        help="An artifact of a model of several views: makes scenes at /inference. Repeat it for "
        "further programs of the model.",
    )
    scenes_root: Path = path_option(
        Path(), "Folder that requests for scenes may name paths in; it keeps their tasks."
    )
    gallery: Optional[Path] = path_option(
        None, "Folder of scenes to show at /gallery/: GROUP/SCENE/scene.glb; needs --scenes."
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
            gallery=self.gallery,
            model_control=self.model_control,
            grpc_port=self.grpc_port,
            grpc_message_bytes=round(self.grpc_message_mb * 1e6),
        )

    def sources(self, artifacts: list[Path]) -> list[Source]:
        """Where the models come from, the default first.

        Raises InputError for none, for a name given twice and for a text of another form, and
        ArtifactError for a folder of `artifacts`, whose model's name is the name.
        """
        from depth.artifact.manifest import read_artifact
        from serve.service.sources import Source, source_of

        found = []
        if artifacts:
            name = read_artifact(artifacts[0]).manifest.model
            places = tuple(map(str, artifacts))
            found.append(Source(name, places, allow_unverified=self.allow_unverified))
        for text in self.model or []:
            keep, url = self.pulled_to, self.endpoint_url
            found.append(source_of(text, keep, url, self.allow_unverified))
        names = [source.name for source in found]
        for name in names:
            if names.count(name) > 1:
                raise InputError(f"--model {name}: the name is given twice")
        if not found and not self.scenes:
            raise InputError("no model: give a folder of an artifact, or --model NAME=FOLDER")
        return found

    def backend(self, alone: bool) -> Optional[Backend]:
        """What makes scenes; None without an artifact for it. Raises InputError for its root.

        alone  there is no other model
        """
        if not self.scenes:
            if self.gallery is not None:
                raise InputError("--gallery needs --scenes: give the artifact that makes scenes")
            return None
        from serve.scenes.pipeline import ScenePipeline
        from serve.service.scenes.backend import Backend
        from serve.service.scenes.model import SceneModel

        places, policy, unverified = self.scenes, self.policy, self.allow_unverified

        def load() -> ScenePipeline:
            pipeline = ScenePipeline(places, policy=policy, allow_unverified=unverified)
            for size, views in pipeline.engine.library.there:
                pipeline.warm_up(size, views)
            return pipeline

        names = ", ".join(place.name for place in places)
        return Backend(self.scenes_root, SceneModel(load, names), alone, first=True)

    def model_of(self, name: str, library: Library) -> Model:
        """A model over artifacts, not warmed up."""
        from serve.engine import Engine
        from serve.jobs.stage import Stage
        from serve.service.model import Model

        engine = Engine(
            library, self.policy, preprocess=self.preprocess, output_size=self.output_size
        )
        return Model(name, Stage(engine), self.queue)


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
    from serve.service.v2.repository import Repository

    models = Models()
    sources = options.sources(artifact or [])
    repository = Repository(models, sources, options.model_of, options.poll_s)
    log_to_stderr(options.log)
    backend = options.backend(alone=not sources)
    service = Service(models, options.settings(), repository, backend)
    run(service, [], lambda url: say_ready(url, options.log))
