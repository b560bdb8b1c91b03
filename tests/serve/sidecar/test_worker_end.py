"""Cancelling, limits, heartbeats, and how a worker and its clients end."""

from __future__ import annotations

import select
from pathlib import Path

import pytest

from serve.errors import OutOfServiceError, RestartError
from serve.sidecar.worker import MAX_CLIENTS, Worker
from tests.support.processes import until
from tests.support.sidecars import PNG, Client, Gate, a_worker, connect


def test_cancelling_a_running_image_answers_at_once_and_its_result_is_dropped(
    client: Client, gate: Gate
) -> None:
    client.ask("a", format="shm")
    assert gate.begun.acquire(timeout=10)
    client.send({"type": "cancel", "id": "a"})
    assert client.error()[:2] == ("a", "CancelledError")
    client.ask("a")  # the name is free again
    assert gate.begun.acquire(timeout=10)
    gate.release.release(2)
    header, _ = client.next()
    assert (header["type"], header["id"], header["format"]) == ("result", "a", "raw")
    client.send({"type": "ping", "id": "p"})
    assert client.next()[0]["type"] == "pong"


def test_a_cancelled_image_that_waits_never_begins(client: Client, gate: Gate) -> None:
    for name in ("a", "b", "c"):
        client.ask(name)
    assert gate.begun.acquire(timeout=10)
    assert gate.begun.acquire(timeout=10)  # two threads
    client.send({"type": "cancel", "id": "c"})
    assert client.error()[:2] == ("c", "CancelledError")
    gate.release.release(3)
    assert {client.next()[0]["id"] for _ in range(2)} == {"a", "b"}
    client.send({"type": "ping"})
    client.next("pong")
    assert len(gate.asked) == 2


def test_cancelling_what_is_not_there_changes_nothing(client: Client) -> None:
    client.send({"type": "cancel", "id": "never"})
    client.send({"type": "ping", "id": "p"})
    assert client.next()[0]["type"] == "pong"


def test_too_many_open_requests_are_refused_as_busy(client: Client, gate: Gate) -> None:
    for number in range(5):
        client.ask(str(number))
    header, _ = client.next()
    assert (header["id"], header["kind"], header["retry"]) == ("4", "QueueFullError", True)
    client.ask("0")
    assert "is of a request that is not answered yet" in client.error()[2]
    gate.release.release(5)
    assert {client.next()[0]["id"] for _ in range(4)} == {"0", "1", "2", "3"}
    client.ask("4")
    assert client.next()[0]["type"] == "result"


def test_images_that_wait_are_bounded_in_bytes(
    client: Client, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serve.sidecar.worker._MAX_HELD_BYTES", len(PNG) + 1)
    client.ask("a")
    client.ask("b")
    assert client.error()[:2] == ("b", "QueueFullError")
    gate.release.release()
    assert client.next()[0]["id"] == "a"


def test_too_many_clients_are_refused(worker: Worker) -> None:
    clients = [connect(worker) for _ in range(MAX_CLIENTS)]
    for each in clients:
        each.next("hello")
    late = connect(worker)
    header, _ = late.next()
    assert (header["kind"], header["retry"]) == ("QueueFullError", True)
    assert late.ended()
    clients[0].leave()
    assert connect(worker).next()[0]["type"] == "hello"


def test_a_client_that_waits_hears_a_heartbeat(tmp_path: Path, gate: Gate) -> None:
    with a_worker(tmp_path, gate, heartbeat_s=0.02) as worker:
        client = connect(worker)
        client.next("hello")
        client.ask("a")
        assert client.next("heartbeat")[0]["jobs"] == 1
        assert client.next("heartbeat")[0]["jobs"] == 1
        gate.release.release()
        client.next("result")
        if select.select([client.end], [], [], 0.05)[0]:  # that was on its way
            client.next("heartbeat")
        assert not select.select([client.end], [], [], 0.2)[0]


def test_an_error_that_nobody_expected_is_logged_and_named(
    client: Client, gate: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    gate.error = ZeroDivisionError("x/0")
    gate.release.release()
    client.ask("a")
    name, kind, message = client.error()
    assert (name, kind) == ("a", "ZeroDivisionError")
    assert "see its log" in message
    assert "Traceback" in caplog.text


@pytest.mark.parametrize("error", [OutOfServiceError("no core"), RestartError("again")])
def test_a_device_that_is_lost_ends_the_worker(
    worker: Worker, client: Client, gate: Gate, error: Exception
) -> None:
    gate.error = error
    gate.release.release()
    client.ask("a")
    header, _ = client.next("error")
    assert (header["kind"], header["retry"]) == (type(error).__name__, True)
    assert until(worker.ended.is_set)
    assert worker.failure is error


def test_the_end_answers_what_is_open_and_takes_no_more(tmp_path: Path, gate: Gate) -> None:
    with a_worker(tmp_path, gate) as worker:
        client = connect(worker)
        client.next("hello")
        client.ask("a")
        assert gate.begun.acquire(timeout=10)
        client.send({"type": "shutdown"})
        assert until(worker.ended.is_set)
        gate.release.release()
        worker.drain()
        assert client.next()[0]["id"] == "a"
        assert client.next()[0]["type"] == "bye"
        assert client.ended()


def test_a_client_that_ends_its_stream_still_gets_its_answers(client: Client, gate: Gate) -> None:
    client.ask("a")
    client.ask("b")
    client.end.shutdown(1)  # of writing
    gate.release.release(2)
    assert {client.next()[0]["id"] for _ in range(2)} == {"a", "b"}
    assert client.ended()
    assert client.leave()
