"""SageMaker's paths."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
import pytest
from starlette.testclient import TestClient

from tests.support.services import PNG, a_service, client_of


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    with a_service() as service:
        yield client_of(service)


def test_ping(client: TestClient) -> None:
    answer = client.get("/ping")
    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize("content_type", ["application/x-image", "image/png", "application/x-raw"])
def test_an_image_gives_the_depth_that_v1_gives(client: TestClient, content_type: str) -> None:
    headers = {"Content-Type": content_type, "Accept": "application/x-npy"}
    answer = client.post("/invocations", content=PNG, headers=headers)
    assert answer.status_code == 200
    other = client.post("/v1/depth", content=PNG, headers=headers)
    assert np.array_equal(*(np.load(io.BytesIO(each.content)) for each in (answer, other)))
    assert answer.headers["depth-kind"] == "relative_inverse"
    assert answer.headers["depth-artifact"] == "0" * 64


def test_the_default_is_png(client: TestClient) -> None:
    answer = client.post("/invocations", content=PNG, headers={"Accept": "*/*"})
    assert answer.headers["content-type"] == "image/png"


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({"Content-Type": "application/json"}, b'{"instances": []}', 415),
        ({"Accept": "text/csv"}, PNG, 406),
        ({}, b"no image", 400),
        ({}, b"", 400),
    ],
)
def test_others_are_refused(
    client: TestClient, headers: dict[str, str], body: bytes, status: int
) -> None:
    answer = client.post("/invocations", content=body, headers=headers)
    assert answer.status_code == status
    assert isinstance(answer.json()["error"], str)
