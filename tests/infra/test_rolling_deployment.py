"""The front address and the rolling deployment of the dry run, with small services."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

import pytest

from infra.dry_run.caller import Caller
from infra.dry_run.flow import StateError
from infra.dry_run.front import Front
from infra.dry_run.processes import Process, environment
from infra.dry_run.rollout import Rollout
from tests.support.processes import until

pytestmark = pytest.mark.long  # processes and whole builds

# A service: arguments are the artifact's name, the status of /readyz, and seconds per answer.
SERVICE = """
import sys, time, signal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
name, ready, pause = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
class Handler(BaseHTTPRequestHandler):
    def do_GET(self): self.answer(ready)
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        time.sleep(pause)
        self.answer(200)
    def answer(self, status):
        self.send_response(status)
        self.send_header("Depth-Artifact", name)
        self.send_header("Content-Length", "0")
        self.end_headers()
    def log_message(self, *_): pass
server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
print(f"ready: http://127.0.0.1:{server.server_port}", file=sys.stderr, flush=True)
server.serve_forever()
"""


class Services:
    """Starts services one after the other: the next is the first of `waiting`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.waiting: list[tuple[str, ...]] = []
        self.started: list[Process] = []

    def start(self) -> Process:
        words = self.waiting.pop(0)
        folder = self._folder / str(len(self.started))
        self.started.append(Process([sys.executable, "-c", *words], folder, environment()))
        return self.started[-1]

    def close(self) -> None:
        for process in self.started:
            process.kill()


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    made = Services(tmp_path)
    yield made
    made.close()


@pytest.fixture
def front() -> Iterator[Front]:
    made = Front()
    yield made
    made.close()


@pytest.fixture
def caller(front: Front, tmp_path: Path) -> Iterator[Callable[[], Caller]]:
    made: list[Caller] = []
    (tmp_path / "picture").write_bytes(bytes(300_000))

    def start() -> Caller:
        made.append(Caller(front.url, "token", tmp_path / "picture"))
        return made[-1]

    yield start
    for each in made:
        each.close()


def test_no_request_is_lost_while_a_service_takes_over(
    services: Services, front: Front, caller: Callable[[], Caller]
) -> None:
    rollout = Rollout(front, services.start)
    services.waiting = [(SERVICE, "old", "200", "0.3"), (SERVICE, "new", "200", "0")]
    rollout.deploy()
    asking = [caller() for _ in range(3)]
    assert until(lambda: all(each.answers["old"] for each in asking), 20)
    rollout.deploy()
    assert services.started[0].popen.poll() == 0
    assert until(lambda: all(each.answers["new"] for each in asking), 20)
    assert [each.lost for each in asking] == [[], [], []]


def test_a_service_that_dies_loses_requests(
    services: Services, front: Front, caller: Callable[[], Caller]
) -> None:
    services.waiting = [(SERVICE, "old", "200", "0")]
    Rollout(front, services.start).deploy()
    asking = caller()
    assert until(lambda: asking.answers["old"], 20)
    services.started[0].kill()
    assert until(lambda: asking.lost, 20)
    with pytest.raises(OSError, match=r"."):
        asking.now()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((SERVICE, "new", "503", "0"), "not ready after 1 s"),
        (("raise SystemExit('no alias')",), "exit code 1: no alias"),
    ],
)
def test_a_service_that_does_not_get_ready_leaves_the_old_one(
    services: Services, front: Front, caller: Callable[[], Caller], words: Any, said: str
) -> None:
    rollout = Rollout(front, services.start)
    services.waiting = [(SERVICE, "old", "200", "0"), words]
    rollout.deploy()
    with pytest.raises(StateError, match=said):
        rollout.deploy(1)
    assert services.started[1].popen.poll() is not None
    assert caller().now() == "old"


def test_a_command_that_takes_too_long_is_ended_with_its_children(services: Services) -> None:
    services.waiting = [
        ("import os; print(os.getpid(), flush=True); os.system('sleep 60; echo late')",)
    ]
    process = services.start()
    with pytest.raises(StateError, match=r"still ran after 0\.2 s and was ended"):
        process.finish(0.2)
    assert process.popen.returncode == -9
