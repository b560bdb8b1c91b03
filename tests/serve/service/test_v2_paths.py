"""Paths of the protocol over HTTP: statuses, and when the service is ready."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from serve.service.app import application
from serve.service.models import Models
from serve.service.service import Service
from serve.service.settings import Settings
from tests.support.v2_services import model_of, pixels

INFER = "/v2/models/depth/infer"
IMAGE = pixels()
RAW = IMAGE.tobytes()
TENSOR = {
    "name": "image",
    "datatype": "UINT8",
    "shape": [1, 28, 42, 3],
    "parameters": {"binary_data_size": len(RAW)},
}


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    made = Service(Models(), Settings(max_body_bytes=1_000_000))
    model = model_of()
    made.models.put(model)
    model.warm_up()
    yield made
    made.models.close()


@pytest.fixture(scope="module")
def client(service: Service) -> TestClient:
    return TestClient(application(service), base_url="http://localhost")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v2/models/nope", 404),
        ("GET", "/v2/models/depth/versions/2", 404),
        ("GET", "/v2/models/depth/versions/1", 200),
        ("GET", "/v2/models/depth/versions/1/config", 200),
        ("GET", "/v2/models/depth/versions/1/stats", 200),
        ("GET", "/v2/models/depth?version=2", 200),
        ("GET", "/v2/models/stats", 200),
        ("GET", "/v2/models/%ED%A0%80/ready", 404),
        ("POST", "/v2/models/depth/versions/2/infer", 404),
        ("POST", "/v2/repository/models/depth/load", 403),
        ("POST", "/v2/repository/models/depth/unload", 403),
        ("GET", "/v2/systemsharedmemory/status", 400),
        ("POST", "/v2/systemsharedmemory/region/x/register", 400),
        ("GET", "/v2/cudasharedmemory/region/x/status", 400),
        ("GET", "/v2/nothing", 404),
        ("GET", "/page/%00", 404),
        ("GET", "/v2/models/depth/infer", 405),
    ],
)
def test_statuses_of_paths(client: TestClient, method: str, path: str, status: int) -> None:
    answer = client.request(method, path)
    assert answer.status_code == status
    assert status == 200 or isinstance(answer.json()["error"], str)


@pytest.mark.parametrize(
    "body", [b"[]", b"{", b'{"ready": 3}', b'{"ready": null}', b'{"made": 1}', b'{"\\ud800": 1}']
)
def test_an_index_of_no_request_is_refused(client: TestClient, body: bytes) -> None:
    assert client.post("/v2/repository/index", content=body).status_code == 400


def test_ready_and_draining() -> None:
    service = Service(Models(), Settings())
    client = TestClient(application(service), base_url="http://localhost")
    assert client.get("/v2/health/live").status_code == 200
    for path in ("/v2/health/ready", "/ping"):
        answer = client.get(path)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert "loading" in answer.json()["error"]
    model = model_of()
    service.models.put(model)
    assert client.get("/v2/models/depth/ready").status_code == 503
    assert client.get("/v2/models/depth").status_code == 503
    model.warm_up()
    assert client.get("/v2/health/ready").status_code == 200
    assert client.get("/v2/models/depth/ready").content == b""
    service.draining = True
    assert "draining" in client.get("/v2/health/ready").json()["error"]
    service.models.close()
