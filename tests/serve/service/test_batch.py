"""/v1/batch: jobs, their files, their end, limits, and a service that is killed."""

from __future__ import annotations

import io
import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from starlette.testclient import TestClient

from depth.errors import InputError
from serve.service.batches.job import images_of
from serve.service.batches.jobs import Jobs
from serve.service.kept import folder as kept
from tests.support.processes import until
from tests.support.services import PNG, a_process, a_service, client_of

BAD = b"GIF89a"


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    with a_service(jobs=tmp_path / "jobs") as service:
        yield client_of(service)


def upload(client: Any, names: list[str], query: str = "", data: bytes = PNG) -> dict[str, Any]:
    files = [("images", (name, BAD if "bad" in name else data)) for name in names]
    answer = client.post(f"/v1/batch?{query}", files=files)
    assert answer.status_code == 202, answer.text
    found: dict[str, Any] = answer.json()
    assert answer.headers["location"] == f"/v1/batch/{found['job']}"
    return found


def finished(client: Any, job: str, seconds: float = 20) -> dict[str, Any]:
    def state() -> Any:
        return client.get(f"/v1/batch/{job}").json()

    assert until(lambda: state()["state"] in ("done", "failed"), seconds)
    found: dict[str, Any] = state()
    return found


def test_a_job_gives_the_numbers_of_a_single_request(client: TestClient) -> None:
    job = upload(client, ["a.png", "bad.png"], "format=npy&format=preview")
    assert (job["state"] in ("queued", "running", "done"), job["total"]) == (True, 2)
    found = finished(client, job["job"])
    assert (found["state"], found["done"], found["failed"]) == ("done", 1, 1)
    good, bad = found["images"]
    assert set(good["files"]) == {"npy", "json", "preview.jpg"}
    npy = client.get(good["files"]["npy"])
    assert npy.headers["content-type"] == "application/x-npy"
    assert npy.content == client.post("/v1/depth?format=npy", content=PNG).content
    assert np.load(io.BytesIO(npy.content)).shape == (30, 40)
    said = client.get(good["files"]["json"]).json()
    assert said["source"]["path"] == "a.png"
    assert "GIF files are not read" in bad["reason"]
    assert client.get(good["files"]["preview.jpg"]).headers["content-type"] == "image/jpeg"
    assert [each["job"] for each in client.get("/v1/batch").json()["jobs"]] == [job["job"]]


def test_a_job_of_bad_images_has_failed(client: TestClient) -> None:
    assert finished(client, upload(client, ["bad.png"])["job"])["state"] == "failed"


def test_a_deleted_job_is_gone_with_its_files(client: TestClient, tmp_path: Path) -> None:
    job = upload(client, ["a.png"])["job"]
    assert client.delete(f"/v1/batch/{job}").status_code == 204
    for path in (f"/v1/batch/{job}", f"/v1/batch/{job}/files/a.png"):
        assert client.get(path).status_code == 404
    assert client.delete(f"/v1/batch/{job}").status_code == 404
    assert until(lambda: list((tmp_path / "jobs").iterdir()) == [])


def test_names_of_uploads_lead_nowhere_and_stay_apart() -> None:
    given = ["../../x.png", "C:\\x.jpg", "x.png", ".x", None, "ü/.", "x-2.png", "y.sky.png"]
    found = images_of(given)
    assert [image.stem for image in found] == [
        *("x", "x-2", "x-3", "x-4", "image", "image-2", "x-2-2", "y-sky"),
    ]
    assert found[0].name == "x.png"
    assert all("/" not in image.name for image in found)


@pytest.mark.parametrize(
    "name", ["..%2Fjob.json", "../job.json", "job.json", "%2e%2e/job.json", "a.txt", "A.PNG"]
)
def test_only_results_can_be_fetched(client: TestClient, name: str) -> None:
    job = upload(client, ["a.png"])["job"]
    finished(client, job)
    assert client.get(f"/v1/batch/{job}/files/{name}").status_code in (400, 404)


@pytest.mark.parametrize(
    ("query", "status"), [("format=gif", 400), ("model=other", 404), ("unknown=1", 400)]
)
def test_what_is_refused(client: TestClient, query: str, status: int, tmp_path: Path) -> None:
    answer = client.post(f"/v1/batch?{query}", files=[("images", ("a.png", PNG))])
    assert answer.status_code == status
    assert list((tmp_path / "jobs").iterdir()) == []


def test_other_bodies_are_refused(client: TestClient, tmp_path: Path) -> None:
    assert client.post("/v1/batch", content=PNG).status_code == 415
    assert client.post("/v1/batch", files=[("image", ("a.png", PNG))]).status_code == 400
    assert list((tmp_path / "jobs").iterdir()) == []


def test_limits(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [("images", ("a.png", PNG))]
    monkeypatch.setattr(kept, "MAX_BYTES", 100)
    assert client.post("/v1/batch", files=files).status_code == 429
    monkeypatch.setattr(kept, "MAX_JOBS", 0)
    answer = client.post("/v1/batch", files=files)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "60")


def test_a_service_without_a_folder_says_how_to_have_jobs() -> None:
    with a_service() as service:
        answer = client_of(service).get("/v1/batch")
    assert answer.status_code == 404
    assert "--jobs" in answer.json()["error"]


def test_a_folder_belongs_to_one_service(tmp_path: Path) -> None:
    first = Jobs(tmp_path)
    with pytest.raises(InputError, match="another service"):
        Jobs(tmp_path)
    first.close()
    Jobs(tmp_path).close()


def test_what_is_no_job_is_left_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name, text in (("a", "{}"), ("b", '{"format": 2}'), ("c", "[]")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "job.json").write_text(text)
    (tmp_path / ".new-x").mkdir()
    jobs = Jobs(tmp_path)
    assert jobs.all == []
    assert len(caplog.records) == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "c"]
    jobs.close()


@pytest.mark.long
def test_a_killed_service_finishes_its_jobs_and_does_nothing_twice(tmp_path: Path) -> None:
    names, folder = [f"{index}.png" for index in range(12)], tmp_path / "jobs"
    with (
        a_process(tmp_path / "1", 0.2, jobs=folder) as (process, url),
        httpx.Client(base_url=url) as client,
    ):
        job = upload(client, names)["job"]
        assert until(lambda: client.get(f"/v1/batch/{job}").json()["done"] >= 3, 30)
        process.send_signal(signal.SIGKILL)
        process.wait()
    results = folder / job / "depth"
    before = {path: path.stat().st_mtime_ns for path in results.glob("*.json")}
    assert 3 <= len(before) < 12
    with (
        a_process(tmp_path / "2", 0.05, jobs=folder) as (process, url),
        httpx.Client(base_url=url) as client,
    ):
        found = finished(client, job, 60)
        assert (found["state"], found["done"], found["failed"]) == ("done", 12, 0)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert not list(results.glob(".*"))
    assert json.loads((folder / job / "over.json").read_text())["finished"]
