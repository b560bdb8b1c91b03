"""Connections of callers that are slow, gone, too many or broken."""

from __future__ import annotations

import json
import signal
import socket
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.hostile import encoded, picture
from tests.support.processes import until
from tests.support.raw_http import address_of, answer, connect, exchanged, post
from tests.support.services import PNG, a_process

pytestmark = pytest.mark.long  # processes and whole builds

GET = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A service that gives callers half a second, and takes 0.3 s for an image."""
    place = tmp_path_factory.mktemp("service")
    settings = {"queue": 2, "body_timeout_s": 0.5, "max_connections": 30}
    with a_process(place, 0.3, **settings) as (_, url):
        yield url


def metric(url: str, name: str) -> float:
    with urllib.request.urlopen(f"{url}/metrics") as opened:
        text = opened.read().decode()
    lines = [line for line in text.splitlines() if line.startswith((f"{name} ", f"{name}{{"))]
    return sum(float(line.split()[-1]) for line in lines)


@pytest.mark.parametrize(
    "sent", [b"", b"GET /healthz HTT", GET[:-2], post(PNG, length=len(PNG))[:90]]
)
def test_what_does_not_arrive_in_time_gets_408(url: str, sent: bytes) -> None:
    status, body = exchanged(url, sent)
    assert status == 408
    assert json.loads(body)["kind"] == "RequestError"


def test_a_body_that_is_shorter_than_it_says_gets_408(url: str) -> None:
    assert exchanged(url, post(PNG, length=len(PNG) + 1))[0] == 408


def test_a_caller_that_sends_on_after_a_refusal_is_cut_off(url: str) -> None:
    with connect(url) as connection:
        connection.sendall(post(b"", "/v1/nothing", length=10**9))
        assert answer(connection)[0] == 404
        assert until(lambda: not _takes(connection))


@pytest.mark.long
def test_a_caller_that_never_reads_its_answer_is_cut_off(url: str) -> None:
    large = encoded(picture(1500, 2000), "JPEG")  # 12 MB of depth: more than sockets keep
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(20)
        connection.connect(address_of(url))
        connection.sendall(post(large, "/v1/depth?format=npy"))
        assert until(lambda: metric(url, "depth_held_bytes") > 10_000_000)
        assert until(lambda: metric(url, "depth_held_bytes") == 0)  # 2 s later
        assert metric(url, "depth_open_requests") == 1  # that for the metrics
        assert answer(connection) == (0, b"")


def _takes(connection: socket.socket) -> bool:
    """Whether the other side takes another byte."""
    with suppress(OSError):
        connection.sendall(b"x")
        return True
    return False


def test_endless_headers_get_431(url: str) -> None:
    with connect(url) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\n")
        with suppress(OSError):
            for _ in range(500):
                connection.sendall(b"X-A: " + b"y" * 1000 + b"\r\n")
        assert answer(connection)[0] in (431, 0)  # 0: our own bytes reset the connection
    assert exchanged(url, GET)[0] == 200


@pytest.mark.parametrize("sent", [b"\x16\x03\x01\x00", b"GET\r\n\r\n"])
def test_what_is_no_http_gets_400_in_json(url: str, sent: bytes) -> None:
    status, body = exchanged(url, sent)
    assert status == 400
    assert json.loads(body)["error"]


def test_requests_may_follow_each_other_on_a_connection(url: str) -> None:
    with connect(url) as connection:
        for _ in range(3):
            connection.sendall(post(PNG))
            assert answer(connection)[0] == 200


def test_requests_may_be_sent_before_the_answer(url: str) -> None:
    with connect(url) as connection:
        connection.sendall(GET + GET)
        received = b""
        while received.count(b'{"status":"alive"}') < 2:
            received += connection.recv(1 << 16)


def test_a_queue_that_is_full_gets_429_with_the_time_to_come_back(url: str) -> None:
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda _: exchanged(url, post(PNG))[0], range(16)))
    assert set(found) == {200, 429}


def test_work_of_a_caller_that_is_gone_is_dropped(url: str) -> None:
    before = metric(url, 'depth_errors_total{kind="GoneError"}')
    busy = [connect(url) for _ in range(6)]
    for connection in busy:
        connection.sendall(post(PNG))
    assert until(lambda: metric(url, "depth_queue_depth") > 0)
    for connection in busy:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        connection.close()
    assert until(lambda: metric(url, 'depth_errors_total{kind="GoneError"}') > before)
    assert until(lambda: metric(url, "depth_queue_depth") + metric(url, "depth_running") == 0)


def test_more_connections_than_the_limit_get_503(url: str) -> None:
    opened = [connect(url) for _ in range(40)]
    try:
        assert any(answer(connection)[0] == 503 for connection in opened[30:])
    finally:
        for connection in opened:
            connection.close()
    assert until(lambda: exchanged(url, GET)[0] == 200)


def test_sigterm_finishes_what_was_accepted(tmp_path: Path) -> None:
    with a_process(tmp_path, 0.3) as (process, url), ThreadPoolExecutor(4) as pool:
        accepted = [pool.submit(exchanged, url, post(PNG)) for _ in range(4)]
        assert until(lambda: metric(url, "depth_open_requests") >= 5)
        process.send_signal(signal.SIGTERM)
        assert [each.result()[0] for each in accepted] == [200] * 4
        assert process.wait(20) == 0
