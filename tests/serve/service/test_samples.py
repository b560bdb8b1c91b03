"""GET /v1/samples: images of a folder, and nothing else of the disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tests.support.services import PNG, a_service, client_of


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    folder = tmp_path / "samples"
    folder.mkdir()
    (folder / "a b.png").write_bytes(PNG)
    (folder / "notes.txt").write_text("not an image")
    (tmp_path / "secret.png").write_bytes(PNG)
    with a_service(samples=folder) as service:
        yield client_of(service)


def test_the_images_of_the_folder_are_listed_and_given(client: TestClient) -> None:
    listed = client.get("/v1/samples").json()["samples"]
    assert listed == [{"name": "a b.png", "url": "/v1/samples/a%20b.png"}]
    found = client.get(listed[0]["url"])
    assert (found.status_code, found.content) == (200, PNG)
    assert found.headers["content-type"] == "image/png"


@pytest.mark.parametrize("name", ["notes.txt", "none.png", "..%2Fsecret.png", "%2e%2e/secret.png"])
def test_nothing_else_is_given(client: TestClient, name: str) -> None:
    assert client.get(f"/v1/samples/{name}").status_code == 404


def test_without_a_folder_there_is_no_such_path() -> None:
    with a_service() as service:
        assert client_of(service).get("/v1/samples").status_code == 404
