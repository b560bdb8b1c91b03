"""What HTTP adds to an engine: latency of one image, and throughput beside the folder job.

    python -m tests.benchmarks.http_overhead ARTIFACT

Latency: one 1080p JPEG to a 16-bit PNG, by turns through a service and through a stage in this
process. Two runs of a network differ by more than HTTP takes, so the time that the answer names
for reading, waiting, network and encoding is also taken off both sides: `beyond`. An empty service
that reads and sends as many bytes takes its turn too.

Throughput: the same images by turns through eight clients and through the folder job.
Raw samples go to tests/benchmarks/results/http-overhead.json.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import tempfile
import time
from collections import defaultdict
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import typer

from depth.artifact.manifest import read_artifact
from depth.images.given import hold
from serve.engine import Engine
from serve.folder.cli import run
from serve.folder.request import FolderJob
from serve.jobs.stage import Asked, Stage
from serve.jobs.stop import Stop
from serve.library import Library
from serve.service.answers import answer_of
from serve.shapes import BUCKETS
from tests.support.http_clients import waiting_clients
from tests.support.served import a_served_artifact, an_empty_service, cpu_s, jpeg_1080p

RESULT = Path(__file__).parent / "results/http-overhead.json"
CLIENTS = 8
_DURATION = re.compile(r"dur=([\d.]+)")


def latencies(url: str, stage: Stage, pairs: int) -> dict[str, list[float]]:
    """Milliseconds through the service, the stage and an empty service, by turns."""
    body = jpeg_1080p()
    found: dict[str, list[float]] = defaultdict(list)

    def direct() -> tuple[bytes, str]:
        answer = stage.through(
            hold(body), Asked(), lambda result, pixels: answer_of(result, pixels, "png")
        )
        return answer.data, answer.headers["Server-Timing"]

    data, _ = direct()
    with (
        tempfile.TemporaryDirectory() as place,
        an_empty_service(Path(place), len(data)) as empty_url,
        closing(_Caller(url, body)) as service,
        closing(_Caller(empty_url, body)) as empty,
    ):
        if service.call()[0] != data:
            raise ValueError("the service gives another file than the stage")
        calls = {"stage": direct, "http": service.call, "empty": empty.call}
        for name in [*calls] * pairs:
            begun_s = time.perf_counter()
            _, named = calls[name]()
            whole_ms = (time.perf_counter() - begun_s) * 1e3
            found[f"{name}_ms"].append(whole_ms)
            found[f"{name}_beyond_ms"].append(whole_ms - sum(map(float, _DURATION.findall(named))))
    return found


class _Caller:
    """Sends an image again and again. The standard library's client: httpx takes 6 ms longer."""

    def __init__(self, url: str, body: bytes) -> None:
        self._connection = HTTPConnection(url.partition("://")[2], timeout=300)
        self._body = body

    def call(self) -> tuple[bytes, str]:
        self._connection.request("POST", "/v1/depth", self._body)
        answer = self._connection.getresponse()
        return answer.read(), answer.headers.get("Server-Timing", "")

    def close(self) -> None:
        self._connection.close()


def throughputs(url: str, engine: Engine, images: int, rounds: int) -> dict[str, Any]:
    """Images per second through eight clients and through the folder job, by turns."""
    bodies = [jpeg_1080p(seed) for seed in range(images)]
    found: dict[str, Any] = {"http_per_s": [], "folder_per_s": [], "clients_cpu_s": []}
    with tempfile.TemporaryDirectory() as place:
        source = Path(place, "in")
        source.mkdir()
        for number, body in enumerate(bodies):
            (source / f"{number:04}.jpg").write_bytes(body)
        for turn in range(rounds):
            before_s = cpu_s(os.getpid())
            seen = waiting_clients(url, bodies, CLIENTS)
            found["clients_cpu_s"].append(cpu_s(os.getpid()) - before_s)
            if seen.statuses != {200: images}:
                raise ValueError(f"expected {images} answers with 200, got {dict(seen.statuses)}")
            found["http_per_s"].append(seen.per_s)
            begun_s = time.perf_counter()
            code = run(engine, FolderJob(source, Path(place, f"out{turn}")), Stop())
            found["folder_per_s"].append(images / (time.perf_counter() - begun_s))
            if code:
                raise ValueError(f"the folder job ended with {code}")
    return found


def main(
    artifact: Path,
    pairs: int = typer.Option(30, help="Of latencies."),
    images: int = typer.Option(24, help="Of a round."),
    rounds: int = typer.Option(5, help="Of throughputs."),
) -> None:
    """Measure, print the figures, and keep the raw samples."""
    with (
        tempfile.TemporaryDirectory() as place,
        a_served_artifact(artifact, Path(place), "--queue", 32) as (_, url),
    ):
        engine = Engine(Library([read_artifact(artifact)]), BUCKETS)
        stage = Stage(engine)
        stage.warm_up()
        found = {
            "artifact": artifact.name,
            **latencies(url, stage, pairs),
            **throughputs(url, engine, images, rounds),
        }
        stage.close()
    RESULT.write_text(json.dumps(found) + "\n")
    typer.echo(json.dumps(figures(found), indent=2))


def figures(found: dict[str, Any]) -> dict[str, float]:
    """Medians of pairs: what HTTP adds to a latency, and its share of the folder's throughput."""
    added, beyond = (
        [http - stage for http, stage in zip(found[f"http_{kind}"], found[f"stage_{kind}"])]
        for kind in ("ms", "beyond_ms")
    )
    shares = [http / folder for http, folder in zip(found["http_per_s"], found["folder_per_s"])]
    return {
        "stage_ms": round(statistics.median(found["stage_ms"]), 1),
        "added_ms": round(statistics.median(added), 1),
        "added_beyond_ms": round(statistics.median(beyond), 2),
        "empty_ms": round(statistics.median(found["empty_ms"]), 2),
        "http_per_s": round(statistics.median(found["http_per_s"]), 2),
        "folder_per_s": round(statistics.median(found["folder_per_s"]), 2),
        "share": round(statistics.median(shares), 3),
        "clients_cpu_s": round(statistics.median(found["clients_cpu_s"]), 2),
    }


if __name__ == "__main__":
    typer.run(main)
