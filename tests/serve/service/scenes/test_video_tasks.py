"""Videos as tasks: their frames are the views."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from serve.service.scenes import frames
from tests.serve.service.scenes.test_tasks import ended, submitted
from tests.support.scene_services import scene_service
from tests.support.services import PNG, client_of
from tests.support.videos import av, write_video


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    av()
    write_video(tmp_path / "clip.mp4", frames=20, rate=10)
    (tmp_path / "a.png").write_bytes(PNG)
    with scene_service(tmp_path) as service:
        yield client_of(service)


def names(client: TestClient, task: str) -> list[str]:
    about = json.loads(client.get(f"/task/{task}/files/scene.json").content)
    return [camera["name"] for camera in about["cameras"]]


def test_a_video_on_the_server_and_an_upload_become_views(
    client: TestClient, tmp_path: Path
) -> None:
    files = [("images", ("clip.MP4", (tmp_path / "clip.mp4").read_bytes()))]
    body = {"request": json.dumps({"video_fps": 5})}
    upload = client.post("/inference", files=files, data=body).json()["task_id"]
    assert ended(client, upload)["status"] == "completed", ended(client, upload)["message"]
    assert names(client, upload) == [f"{number:06}.png" for number in range(10)]
    path = submitted(client, image_paths=["clip.mp4"])
    assert ended(client, path)["status"] == "completed"
    assert names(client, path) == ["000000.png", "000001.png"]
    assert not [*(tmp_path / ".tasks").glob("*/frames")]


def test_a_video_comes_alone(client: TestClient) -> None:
    answer = client.post("/inference", json={"image_paths": ["clip.mp4", "a.png"]})
    assert (answer.status_code, "alone" in answer.json()["error"]) == (422, True)


def test_without_pyav_a_video_is_refused(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frames, "has_video", lambda: False)
    answer = client.post("/inference", json={"image_paths": ["clip.mp4"]})
    assert (answer.status_code, "PyAV" in answer.json()["error"]) == (422, True)


def test_a_file_that_is_no_video_fails(client: TestClient, tmp_path: Path) -> None:
    (tmp_path / "letter.mp4").write_text("Dear depth")
    found = ended(client, submitted(client, image_paths=["letter.mp4"]))
    assert (found["status"], "no video" in found["message"]) == ("failed", True)


def test_too_many_frames_are_refused(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "MOST_FRAMES", 3)
    found = ended(client, submitted(client, image_paths=["clip.mp4"], video_fps=10))
    assert (found["status"], "lower video_fps" in found["message"]) == ("failed", True)
