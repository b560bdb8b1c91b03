"""What is recorded of requests: ids, log lines, metrics; and what of an error a caller sees."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from serve.service.app import application
from serve.service.asgi.logs import _Json, _Text
from serve.service.service import Service
from tests.support.services import PNG, a_service, client_of


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with a_service() as service:
        yield service


@pytest.mark.parametrize(
    ("given", "kept"),
    [("abc-1", True), ("x" * 64, True), ("x" * 65, False), ("a b", False), ("é", False)],
)
def test_a_request_has_an_id(service: Service, given: str, kept: bool) -> None:
    headers = {"Request-Id": given.encode()}
    found = client_of(service).get("/healthz", headers=headers).headers["request-id"]
    assert (found == given) == kept
    assert found


def test_a_log_line_says_what_happened_but_not_what_was_sent(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "serve.service")
    client_of(service).post("/v1/depth?model=toy&secret=hush", content=b"private")
    (record,) = [each for each in caplog.records if each.message == "request"]
    event = getattr(record, "event")  # noqa: B009
    assert event["path"] == "/v1/depth"
    assert (event["method"], event["status"], event["kind"]) == ("POST", 400, "RequestError")
    line = json.loads(_Json().format(record))
    assert {"time", "level", "message", "id", "ms", "bytes"} <= set(line)
    assert "status=400" in _Text().format(record)
    assert "hush" not in str(line)
    assert "private" not in str(line)


def broken(service: Service) -> FastAPI:
    app = application(service)

    @app.get("/broken")
    async def fails() -> None:
        raise RuntimeError("secret words")

    return app


def test_an_unexpected_error_is_logged_once_and_not_told(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    client = TestClient(broken(service), base_url="http://localhost")
    answer = client.get("/broken")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert answer.json()["kind"] == "InternalError"
    assert caplog.text.count("RuntimeError: secret words") == 1


def test_metrics_count_and_have_no_label_of_a_caller(service: Service) -> None:
    client = client_of(service)
    client.post("/v1/depth", content=PNG)
    client.post("/v1/depth?model=made-up", content=PNG)
    client.request("BREW", "/made/up")
    text = client.get("/metrics").text
    labels = 'method="POST",model="toy",path="/v1/depth",status="200",transport="http"'
    assert f"depth_requests_total{{{labels}}}" in text
    assert "made" not in text
    for name in (
        'depth_stage_seconds_bucket{le="0.001",model="toy",stage="network"}',
        'depth_stage_seconds_count{model="toy",stage="queue"}',
        'depth_queue_depth{model="toy"} 0.0',
        'depth_batches_total{images="1",model="toy"}',
        'depth_core_busy_seconds_total{core="0",model="toy"}',
        'depth_cores_in_service{model="toy"} 2.0',
        'depth_errors_total{kind="UnknownModelError"}',
        "depth_held_bytes 0.0",
        "depth_resident_bytes ",
        "depth_open_descriptors ",
    ):
        assert name in text


def test_two_services_do_not_share_metrics(service: Service) -> None:
    client_of(service).get("/healthz")
    with a_service() as other:
        assert b"depth_requests_total{" not in other.metrics.text()


def test_readiness_follows_the_models(service: Service) -> None:
    client = client_of(service)
    assert client.get("/readyz").status_code == 200
    service.draining = True
    try:
        answer = client.get("/readyz")
    finally:
        service.draining = False
    assert (answer.status_code, answer.json()["status"]) == (503, "draining")
    assert answer.headers["retry-after"]
