"""The benchmarks of the service: what they judge, and a small run of each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from serve.engine import Engine
from serve.jobs.stage import Stage
from serve.library import Library
from serve.shapes import BUCKETS
from tests.benchmarks.http_hostile import attack, is_ready, slow_senders
from tests.benchmarks.http_load import one_run, verdict
from tests.benchmarks.http_overhead import figures, latencies, throughputs
from tests.support.programs import make_artifact
from tests.support.served import a_served_artifact

RIGHT: dict[str, Any] = {
    "unloaded_ms": [10.0] * 10,
    "queue_ms": 40.0,
    "statuses": {200: 5, 429: 5},
    "accepted_ms": [60.0] * 10,
    "memory_mb": [200.0, 201.0, 202.0, 203.0],
    "at_sigterm": {200: 8},
    "exit_code": 0,
}
JUDGED = ("only_200_and_429", "in_limit", "memory_flat", "ends_well")


@pytest.mark.parametrize(
    ("wrong", "judged"),
    [
        ({}, ""),
        ({"statuses": {200: 5, 503: 1}}, "only_200_and_429"),
        ({"statuses": {200: 5, -1: 1}}, "only_200_and_429"),
        ({"accepted_ms": [60.0, 60.1]}, "in_limit"),
        ({"memory_mb": [200.0, 200.0, 200.0, 230.0]}, "memory_flat"),
        ({"exit_code": 1}, "ends_well"),
        ({"at_sigterm": {200: 7, -1: 1}}, "ends_well"),
    ],
)
def test_a_run_is_judged(wrong: dict[str, Any], judged: str) -> None:
    found = verdict({**RIGHT, **wrong})
    assert [name for name in JUDGED if not found[name]] == [judged] * bool(judged)


@pytest.mark.long
def test_a_short_run_of_twice_the_capacity(tmp_path: Path) -> None:
    found = one_run(make_artifact(tmp_path).folder, tmp_path / "service", seconds=4, alone=8)
    judged = verdict(found)
    assert judged["only_200_and_429"]
    assert judged["ends_well"]
    assert found["statuses"][200] > 0


@pytest.mark.long
def test_a_few_hostile_requests(tmp_path: Path) -> None:
    artifact = make_artifact(tmp_path).folder
    with a_served_artifact(artifact, tmp_path / "service", "--body-timeout-s", 1) as (_, url):
        found = attack(url, 120)
        assert not [status for each in found.values() for status in each if status >= "500"]
        assert len(found) == 12
        assert set(slow_senders(url, 10)) == {"408"}
        assert is_ready(url)


@pytest.mark.long
def test_a_short_comparison_with_the_engine_and_the_folder_job(tmp_path: Path) -> None:
    artifact = make_artifact(tmp_path)
    engine = Engine(Library([artifact]), BUCKETS)
    with a_served_artifact(artifact.folder, tmp_path / "service") as (_, url):
        stage = Stage(engine)
        stage.warm_up()
        found = {**latencies(url, stage, 3), **throughputs(url, engine, 4, 1)}
        stage.close()
    assert set(figures(found)) >= {"added_ms", "share", "clients_cpu_s"}
