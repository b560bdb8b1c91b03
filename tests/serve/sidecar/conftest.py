"""A worker whose images are let through one by one, and a client of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from serve.sidecar.worker import Worker
from tests.support.sidecars import Client, Gate, a_worker, connect


@pytest.fixture(name="gate")
def gate_fixture() -> Gate:
    return Gate()


@pytest.fixture(name="worker")
def worker_fixture(tmp_path: Path, gate: Gate) -> Iterator[Worker]:
    with a_worker(tmp_path, gate) as worker:
        yield worker
        gate.release.release(1000)


@pytest.fixture(name="client")
def client_fixture(worker: Worker) -> Iterator[Client]:
    client = connect(worker)
    client.next("hello")
    yield client
    client.end.close()
