"""The OpenAPI description: complete, and what schemathesis finds between it and the service."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import pytest
from fastapi import FastAPI
from starlette.routing import Mount, Route

from tests.support.places import ROOT
from tests.support.scene_services import scene_process, scene_service
from tests.support.services import PNG, TOKEN, a_process, a_service, client_of

# Paths that the description leaves out: the page, and refusals of shared memory.
LEFT_OUT = re.compile("/(docs|page|dashboard|gallery/?)?|/v2/(system|cuda)sharedmemory/.*")
# Of schemathesis: names that the service knows, without which it would only see 404.
KNOWN = """
[parameters]
"path.model" = "toy"
"path.version" = "1"

[[operations]]
include-path = "/v1/samples/{name}"
parameters = { "path.name" = "a.png" }

# 504: a busy machine misses the deadline that a caller chose, as described.
[[operations]]
include-path = "/v1/depth"
checks.not_a_server_error.expected-statuses = ["2xx", "4xx", 504]
# No schema can say which measured points agree with the depth of an image.
checks.positive_data_acceptance.enabled = false

# No schema can say that a list has as many values as the product of a shape.
[[operations]]
include-path-regex = "/infer$"
checks.positive_data_acceptance.enabled = false
"""


@pytest.fixture(scope="module", params=["images", "scenes"])
def described(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> tuple[dict[str, Any], FastAPI]:
    """The description of a service that has every path of its kind, and its application."""
    place = tmp_path_factory.mktemp("place")
    kinds: dict[str, Any] = {
        "images": lambda: a_service(samples=place),
        "scenes": lambda: scene_service(place, gallery=place),
    }
    with kinds[request.param]() as service:
        client = client_of(service)
        return client.get("/openapi.json").json(), cast(FastAPI, client.app)


@pytest.fixture
def description(described: tuple[dict[str, Any], FastAPI]) -> dict[str, Any]:
    return described[0]


def test_every_path_is_described(described: tuple[dict[str, Any], FastAPI]) -> None:
    description, app = described
    served = {
        (route.path.replace(":path}", "}"), method.lower())
        for route in app.routes
        for method in getattr(route, "methods", ())
        if isinstance(route, (Route, Mount)) and not LEFT_OUT.fullmatch(route.path)
    }
    found = {(path, method) for path, each in description["paths"].items() for method in each}
    assert found == {(path, method) for path, method in served if path != "/openapi.json"}
    assert len({path for path, _ in found}) > 25


def test_every_answer_says_its_media_type_and_has_an_id(description: dict[str, Any]) -> None:
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            statuses = operation["responses"]
            assert {"400", "401", "405", "500"} <= set(statuses), (path, method)
            assert ("422" in statuses) == (path == "/inference")  # ours, and never FastAPI's own
            for status, response in statuses.items():
                assert response.get("content") or status == "204", (path, method, status)
                assert "Request-Id" in response["headers"]
    assert "Retry-After" in description["paths"]["/v1/depth"]["post"]["responses"]["429"]["headers"]


def test_no_option_may_be_null(description: dict[str, Any]) -> None:
    for parameter in description["paths"]["/v1/depth"]["post"]["parameters"]:
        assert "anyOf" not in parameter["schema"]
        assert "type" in parameter["schema"]


def test_a_token_is_described_where_there_is_one(description: dict[str, Any]) -> None:
    assert "security" not in description
    with a_service(token=TOKEN) as service:
        assert client_of(service).get("/openapi.json").json()["security"] == [{"token": []}]


@pytest.mark.long
@pytest.mark.timeout(900)
def test_schemathesis_finds_nothing(tmp_path: Path) -> None:
    samples = tmp_path / "samples"
    samples.mkdir()
    (samples / "a.png").write_bytes(PNG)
    settings = {"jobs": tmp_path / "jobs", "samples": samples, "model_control": True}
    with a_process(tmp_path, **settings) as (process, url):
        nothing_is_found(tmp_path, url)
        assert process.poll() is None


@pytest.mark.long
@pytest.mark.timeout(900)
def test_schemathesis_finds_nothing_in_scenes(tmp_path: Path) -> None:
    with scene_process(tmp_path) as url:
        nothing_is_found(
            tmp_path, url, "--include-path-regex", "task|gallery|status|cleanup|reload|gpu"
        )


def nothing_is_found(place: Path, url: str, *more: str) -> None:
    (place / "schemathesis.toml").write_text(KNOWN)
    command = [sys.executable, "-m", "schemathesis.cli", "--no-color", "run"]
    command += [f"{url}/openapi.json", "--phases", "coverage,fuzzing", *more]
    command += ["--max-examples", "5", "--seed", "1"]
    environment = {"PYTHONPATH": str(ROOT), "SCHEMATHESIS_HOOKS": "tests.support.openapi_hooks"}
    found = subprocess.run(
        command, cwd=place, env=environment, capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stdout[-3000:] + found.stderr[-2000:]
    assert "No issues found" in found.stdout
