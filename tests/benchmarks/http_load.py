"""A service under twice the load that it can take: statuses, tail latency, memory, and its end.

    python -m tests.benchmarks.http_load ARTIFACT

Each run starts a service and measures, one after the other: the latency of a caller alone, the
capacity with eight callers, and two minutes of twice that rate. SIGTERM comes while callers wait.
Raw samples go to tests/benchmarks/results/http-load.json.
"""

from __future__ import annotations

import json
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer

from tests.support.http_clients import Seen, steady_rate, waiting_clients
from tests.support.served import a_served_artifact, jpeg_1080p, memory_mb, percentile

RESULT = Path(__file__).parent / "results/http-load.json"
QUEUE, CLIENTS, FACTOR = 8, 8, 2
_GROWTH = 1.1  # of memory from the middle of the load to its end


def one_run(artifact: Path, place: Path, seconds: float, alone: int = 40) -> dict[str, Any]:
    """Everything about one service, in a process of its own."""
    body = jpeg_1080p()
    with a_served_artifact(artifact, place, "--queue", QUEUE) as (process, url):
        waiting_clients(url, [body] * 4, 2)
        unloaded = waiting_clients(url, [body] * alone, 1)
        capacity = waiting_clients(url, [body] * alone, CLIENTS).per_s
        memory: list[float] = []
        with _sampled(lambda: memory.append(memory_mb(process))):
            loaded = steady_rate(url, body, FACTOR * capacity, seconds)
        ended = _ended(url, body, lambda: process.send_signal(signal.SIGTERM))
        code = process.wait(120)
    return {
        "unloaded_ms": _rounded(unloaded.accepted_ms),
        "capacity_per_s": round(capacity, 2),
        "queue_ms": round(QUEUE / capacity * 1e3, 1),
        "statuses": dict(loaded.statuses),
        "accepted_ms": _rounded(loaded.accepted_ms),
        "memory_mb": _rounded(memory),
        "at_sigterm": dict(ended.statuses),
        "exit_code": code,
    }


def verdict(run: dict[str, Any]) -> dict[str, Any]:
    """The figures that a run is judged by, and whether each is right."""
    unloaded = percentile(run["unloaded_ms"], 0.99)
    accepted = percentile(run["accepted_ms"], 0.99)
    limit = 2 * unloaded + run["queue_ms"]
    memory = run["memory_mb"]
    middle, end = max(memory[: max(1, len(memory) // 2)]), memory[-1]
    return {
        "unloaded_p99_ms": unloaded,
        "accepted_p99_ms": accepted,
        "limit_ms": round(limit, 1),
        "only_200_and_429": {str(each) for each in run["statuses"]} <= {"200", "429"},
        "in_limit": accepted <= limit,
        "memory_middle_mb": middle,
        "memory_end_mb": end,
        "memory_flat": end <= _GROWTH * middle,
        "ends_well": run["exit_code"] == 0 and set(map(str, run["at_sigterm"])) == {"200"},
    }


def _ended(url: str, body: bytes, stop: Any) -> Seen:
    """As many callers as have room, and a signal while they wait."""
    threading.Timer(0.5, stop).start()
    return waiting_clients(url, [body] * CLIENTS, CLIENTS)


@contextmanager
def _sampled(sample: Any) -> Iterator[None]:
    """Calls `sample` every half second."""
    over = threading.Event()

    def work() -> None:
        while not over.wait(0.5):
            sample()

    thread = threading.Thread(target=work)
    sample()
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _rounded(values: list[float]) -> list[float]:
    return [round(value, 1) for value in values]


def main(
    artifact: Path,
    seconds: float = typer.Option(120.0, help="Of twice the capacity."),
    runs: int = typer.Option(3, help="Services, one after the other."),
) -> None:
    """Measure, print the judged figures of each run, and keep the raw samples."""
    found = []
    for number in range(runs):
        with tempfile.TemporaryDirectory() as place:
            run = one_run(artifact, Path(place), seconds)
        run["verdict"] = verdict(run)
        typer.echo(json.dumps({"run": number, "statuses": run["statuses"], **run["verdict"]}))
        found.append(run)
        RESULT.write_text(json.dumps({"made": time.strftime("%F"), "runs": found}) + "\n")
    judged = ("only_200_and_429", "in_limit", "memory_flat", "ends_well")
    raise typer.Exit(not all(run["verdict"][name] for run in found for name in judged))


if __name__ == "__main__":
    typer.run(main)
