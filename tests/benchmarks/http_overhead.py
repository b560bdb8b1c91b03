"""What HTTP adds to an engine: latency of one image, and throughput beside the folder job.

    python -m tests.benchmarks.http_overhead ARTIFACT

Latency: one 1080p JPEG to a 16-bit PNG, by turns through a service and through a stage in this
process. Throughput: the same images by turns through eight clients and through the folder job.
Raw samples go to tests/benchmarks/results/http-overhead.json.
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
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
from tests.support.served import a_served_artifact, cpu_s, jpeg_1080p

RESULT = Path(__file__).parent / "results/http-overhead.json"
CLIENTS = 8


def latencies(url: str, stage: Stage, pairs: int) -> dict[str, list[float]]:
    """Milliseconds through the service and through the stage, by turns."""
    body = jpeg_1080p()
    found: dict[str, list[float]] = {"http_ms": [], "stage_ms": []}

    def direct() -> bytes:
        return stage.through(
            hold(body), Asked(), lambda result, pixels: answer_of(result, pixels, "png").data
        )

    with httpx.Client(base_url=url, timeout=300) as client:

        def over_http() -> bytes:
            return client.post("/v1/depth", content=body).content

        if direct() != over_http():
            raise ValueError("the service gives another file than the stage")
        for number in range(2 * pairs):
            name, call = ("http_ms", over_http) if number % 2 else ("stage_ms", direct)
            begun_s = time.perf_counter()
            call()
            found[name].append((time.perf_counter() - begun_s) * 1e3)
    return found


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
    added = [http - stage for http, stage in zip(found["http_ms"], found["stage_ms"])]
    shares = [http / folder for http, folder in zip(found["http_per_s"], found["folder_per_s"])]
    return {
        "stage_ms": round(statistics.median(found["stage_ms"]), 1),
        "added_ms": round(statistics.median(added), 1),
        "http_per_s": round(statistics.median(found["http_per_s"]), 2),
        "folder_per_s": round(statistics.median(found["folder_per_s"]), 2),
        "share": round(statistics.median(shares), 3),
        "clients_cpu_s": round(statistics.median(found["clients_cpu_s"]), 2),
    }


if __name__ == "__main__":
    typer.run(main)
