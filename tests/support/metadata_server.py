"""A stand-in of EC2's instance metadata service on a loopback port, and jobs that ask it.

As a script it runs one of our commands, asks often, and writes down every address that the process
connects to:

    python -m tests.support.metadata_server CONNECTIONS_FILE SCRIPT_OR_MODULE [ARGUMENTS...]
"""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any, Optional, cast

from tests.support.processes import start

TERMINATE = json.dumps({"action": "terminate", "time": "2017-09-18T08:22:00Z"}).encode()
REASON = "a spot notice (terminate at 08:22:00Z)"


class MetadataServer(ThreadingHTTPServer):
    """Answers version 2 alone. What it answers can be changed at any time."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.notice: Optional[bytes] = None
        self.put_status = 200
        self.get_status = 200
        self.redirect = ""  # to an address
        self.tokens_live = True
        self.hangs = False
        self.closed = Event()
        self.requests: list[str] = []
        self._tokens: list[str] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def expire(self) -> None:
        self._tokens.clear()

    def new_token(self) -> str:
        token = f"token-{len(self.requests)}"
        if self.tokens_live:
            self._tokens.append(token)
        return token

    def answer(self, method: str, path: str, headers: Any) -> tuple[int, bytes]:
        self.requests.append(f"{method} {path}")
        if self.hangs:
            self.closed.wait()
        if (method, path) == ("PUT", "/latest/api/token"):
            ttl = int(headers["X-aws-ec2-metadata-token-ttl-seconds"] or 0)
            return (self.put_status, self.new_token().encode()) if 0 < ttl <= 21600 else (400, b"")
        if headers["X-aws-ec2-metadata-token"] not in self._tokens:
            return 401, b""
        if path != "/latest/meta-data/spot/instance-action" or self.notice is None:
            return 404, b""
        return self.get_status, self.notice


class _Handler(BaseHTTPRequestHandler):
    def do_PUT(self) -> None:
        server = cast(MetadataServer, self.server)
        status, body = server.answer(self.command, self.path, self.headers)
        self.send_response(302 if server.redirect else status)
        if server.redirect:
            self.send_header("Location", server.redirect)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_PUT

    def log_message(self, *_: object) -> None:
        pass

    def handle(self) -> None:
        with suppress(OSError):  # the job has ended meanwhile, as it may
            super().handle()


@contextmanager
def metadata_server() -> Iterator[MetadataServer]:
    with MetadataServer() as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.closed.set()
            server.shutdown()
            thread.join()


def start_watched(
    place: Path, address: str, *command: object, **environment: str
) -> subprocess.Popen[str]:
    """Start a command of ours that asks this server; notes what it connects to in `connections`."""
    if address:
        environment["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = address
    words = ["-m", "tests.support.metadata_server", place / "connections", *command]
    return start(place, *words, **environment)


def main() -> None:
    from serve.jobs import spot

    _, connections, command, *arguments = sys.argv
    log = open(connections, "w", buffering=1)  # noqa: SIM115, PTH123  # kept as long as the process
    spot.POLL_S = 0.02
    spot.ROOT = Path(connections)  # this machine may be an EC2 instance

    def note(event: str, values: tuple[Any, ...]) -> None:
        if event == "socket.connect":
            log.write(f"{values[1]}\n")

    sys.addaudithook(note)
    sys.argv = [command, *arguments]
    if command.endswith(".py"):
        runpy.run_path(command, run_name="__main__")
    else:
        runpy.run_module(command, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
