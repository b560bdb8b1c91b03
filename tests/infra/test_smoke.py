"""The smoke test of a deployment, against services that are right and wrong."""

from __future__ import annotations

import importlib.util
import struct
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import ModuleType

import pytest

from tests.support.places import ROOT

IDENTITY = "807d9ad8a5302d15"
GOOD = b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR" + struct.pack(">IIBBBBB", 20, 10, 16, 0, 0, 0, 0)
GOOD += bytes(100)


@pytest.fixture(scope="module")
def smoke() -> ModuleType:
    spec = importlib.util.spec_from_file_location("smoke", ROOT / "infra/pipeline/smoke.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Service(HTTPServer):
    ready, status, body, artifact = 200, 200, GOOD, f"vits-inf1-{IDENTITY[:12]}"
    token = ""


class Handler(BaseHTTPRequestHandler):
    server: Service

    def do_GET(self) -> None:
        self._answer(self.server.ready, b"")

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.token = self.headers.get("Authorization", "")
        self._answer(self.server.status, self.server.body)

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Depth-Artifact", self.server.artifact)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def service() -> Iterator[Service]:
    with Service(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def _url(service: Service) -> str:
    return f"http://127.0.0.1:{service.server_port}"


def test_a_good_answer(
    smoke: ModuleType, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEPTH_TOKEN", "t0ken")
    smoke.wait_until_ready(_url(service), 5)
    assert smoke.check(_url(service), smoke.PICTURE, IDENTITY).startswith("20x10 of vits-inf1-")
    assert service.token == "Bearer t0ken"


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("status", 503, "503"),
        ("body", b"<html>", "no PNG"),
        ("body", GOOD[:24] + b"\x08" + GOOD[25:], "8 bits"),
        ("body", GOOD[:16] + struct.pack(">II", 2000, 1000) + GOOD[24:], "flat"),
        ("artifact", "vits-inf1-000000000000", "was promoted"),
        ("artifact", "", "unnamed answers"),
    ],
)
def test_a_wrong_answer(
    smoke: ModuleType, service: Service, field: str, value: object, said: str
) -> None:
    setattr(service, field, value)
    with pytest.raises(smoke.SmokeError, match=said):
        smoke.check(_url(service), smoke.PICTURE, IDENTITY)


def test_a_service_that_never_gets_ready(smoke: ModuleType, service: Service) -> None:
    service.ready = 503
    with pytest.raises(smoke.SmokeError, match="not ready after 0 s"):
        smoke.wait_until_ready(_url(service), 0)
