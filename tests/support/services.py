"""Services over a network that is a sum of colours: in this process, or in one of its own.

As a script it runs such a service until a signal, and writes its URL to stderr:

    python -m tests.support.services '{"queue": 4}' SECONDS_PER_IMAGE
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer
from starlette.testclient import TestClient

from serve.engine import Engine
from serve.jobs.stage import Stage
from serve.service.app import application
from serve.service.model import Model
from serve.service.models import Models
from serve.service.server import run
from serve.service.service import Service
from serve.service.settings import Settings
from serve.shapes import BUCKETS
from tests.support.folder_jobs import StandIn, Sum, two_cores
from tests.support.hostile import encoded, picture
from tests.support.processes import start, wait_for

PNG = encoded(picture(30, 40), "PNG", compress_level=1)
TOKEN = "0123456789abcdef0123"  # noqa: S105
_PLACES = ("jobs", "samples", "tls_certificate", "tls_key")  # settings that are paths


def model_of(duration_s: float = 0.0, name: str = "toy", queue: int = 8) -> Model:
    """Of two cores, not warmed up."""
    engine = Engine(StandIn(Sum(duration_s), "0" * 64), BUCKETS, backend=two_cores)  # type: ignore[arg-type]
    return Model(name, Stage(engine), queue)


@contextmanager
def a_service(duration_s: float = 0.0, **settings: Any) -> Iterator[Service]:
    """A service with a model that is ready."""
    made = Settings(**settings)
    service = Service(Models(), made)
    model = model_of(duration_s, queue=made.queue)
    service.models.put(model)
    model.warm_up()
    service.start()
    try:
        yield service
    finally:
        service.close()


def client_of(service: Service) -> TestClient:
    """A client that asks without a network, and gets errors of the service as answers."""
    return TestClient(
        application(service), base_url="http://localhost", raise_server_exceptions=False
    )


@contextmanager
def a_process(
    place: Path, duration_s: float = 0.0, **settings: Any
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A process that serves on a free port, once it is ready, and its URL."""
    given = json.dumps({"port": 0, **settings}, default=str)
    place.mkdir(parents=True, exist_ok=True)
    process = start(place, "-m", "tests.support.services", given, duration_s)
    try:
        url = wait_for(process, place / "stderr", "ready: ").partition("ready: ")[2].split()[0]
        yield process, url
    finally:
        process.kill()
        process.wait()


def main() -> None:
    given, duration_s = json.loads(sys.argv[1]), float(sys.argv[2])
    places = {name: Path(given[name]) for name in _PLACES if name in given}
    settings = Settings(**{**given, **places})
    service = Service(Models(), settings)
    model = model_of(duration_s, queue=settings.queue)
    run(service, [model], lambda url: typer.echo(f"ready: {url}", err=True))


if __name__ == "__main__":
    main()
