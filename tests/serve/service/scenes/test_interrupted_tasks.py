"""Tasks of services that end: in good order, or by SIGKILL."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import httpx
import pytest

from serve.errors import QueueFullError
from serve.service.kept import folder as kept
from serve.service.scenes.task import COMPLETED, read_task
from tests.serve.service.scenes.test_tasks import PATHS, ended, root, submitted
from tests.support.processes import start, until, wait_for
from tests.support.scene_services import Fake, scene_service
from tests.support.services import client_of

__all__ = ["root"]  # a fixture


def started(root: Path, seconds: float) -> tuple[subprocess.Popen[str], httpx.Client]:
    place = root.parent / f"process-{seconds}"
    place.mkdir()
    process = start(place, "-m", "tests.support.scene_services", root, seconds)
    said = wait_for(process, place / "stderr", "ready: ")
    return process, httpx.Client(base_url=said.partition("ready: ")[2].split()[0], trust_env=False)


def test_a_killed_service_leaves_results_and_a_task_that_can_run_again(root: Path) -> None:
    process, client = started(root, 0.1)
    with client:
        done = submitted(client)
        assert ended(client, done)["status"] == COMPLETED
        killed = submitted(client, image_paths=PATHS * 100, export_dir="out")
        waiting = submitted(client)
        assert until(lambda: client.get(f"/task/{killed}").json()["status"] == "running", 5)
        process.kill()
        process.wait()
    assert not (root / "out").exists()
    process, client = started(root, 0.001)
    with client:
        assert client.get(f"/task/{done}").json()["status"] == COMPLETED
        (first, *_) = client.get(f"/task/{done}/files").json()["files"]
        assert len(client.get(first["url"]).content) == first["bytes"]
        found = client.get(f"/task/{killed}").json()
        assert (found["status"], found["num_images"]) == ("failed", 200)
        assert "interrupted" in found["message"]
        assert ended(client, waiting)["status"] == COMPLETED
        assert client.post(f"/task/{killed}/resubmit").status_code == 200
        assert ended(client, killed)["status"] == COMPLETED
        assert (root / "out" / "scene.glb").is_file()
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


def test_a_service_that_ends_begins_its_task_again_at_the_next_start(root: Path) -> None:
    with scene_service(root, Fake(0.1)) as service:
        client = client_of(service)
        task = submitted(client, image_paths=PATHS * 100)
        assert until(lambda: client.get(f"/task/{task}").json()["status"] == "running", 5)
    assert read_task(root / ".tasks" / task).status == "pending"
    with scene_service(root, Fake()) as service:
        assert ended(client_of(service), task)["status"] == COMPLETED


def test_damaged_tasks_are_left_alone(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name, text in (("a", "{"), ("b", "[]"), ("c", '{"format": 2}'), ("d", '{"format": 1}')):
        (root / ".tasks" / name).mkdir(parents=True)
        (root / ".tasks" / name / "task.json").write_text(text)
    with scene_service(root) as service:
        assert client_of(service).get("/tasks").json()["total_count"] == 0
    assert (caplog.text.count("no task"), caplog.text.count("another version")) == (4, 1)
    assert len([*(root / ".tasks").iterdir()]) == 4


def test_too_many_tasks_are_refused(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "MAX_JOBS", 1)
    with scene_service(root) as service:
        client = client_of(service)
        submitted(client)
        answer = client.post("/inference", json={"image_paths": PATHS})
        assert (answer.status_code, answer.json()["kind"]) == (429, QueueFullError.__name__)
