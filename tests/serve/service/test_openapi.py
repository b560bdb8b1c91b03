"""The OpenAPI description: complete, and what schemathesis finds between it and the service."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.places import ROOT
from tests.support.services import TOKEN, a_process, a_service, client_of

OURS = "^/(v1/|healthz|readyz|metrics)"
PATHS = {
    "/v1/depth": {"post"},
    "/v1/models": {"get"},
    "/v1/batch": {"get", "post"},
    "/v1/batch/{job}": {"get", "delete"},
    "/v1/batch/{job}/files/{name}": {"get"},
    "/healthz": {"get"},
    "/readyz": {"get"},
    "/metrics": {"get"},
}


@pytest.fixture(scope="module")
def description() -> dict[str, Any]:
    with a_service() as service:
        found: dict[str, Any] = client_of(service).get("/openapi.json").json()
        return found


def test_every_path_is_described(description: dict[str, Any]) -> None:
    found = {path: set(methods) for path, methods in description["paths"].items()}
    assert {path: found.get(path) for path in PATHS} == PATHS


def test_every_answer_says_its_media_type_and_has_an_id(description: dict[str, Any]) -> None:
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            if path not in PATHS:
                continue
            statuses = operation["responses"]
            assert {"400", "401", "405", "500"} <= set(statuses), (path, method)
            assert "422" not in statuses
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
    with a_process(tmp_path, jobs=tmp_path / "jobs") as (process, url):
        command = [sys.executable, "-m", "schemathesis.cli", "--no-color", "run"]
        command += [f"{url}/openapi.json", "--max-examples", "10"]
        command += ["--include-path-regex", OURS]
        environment = {"PYTHONPATH": str(ROOT), "SCHEMATHESIS_HOOKS": "tests.support.openapi_hooks"}
        found = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert found.returncode == 0, found.stdout[-3000:] + found.stderr[-2000:]
        assert "No issues found" in found.stdout
        assert process.poll() is None
