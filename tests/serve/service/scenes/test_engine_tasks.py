"""Tasks over the engine of scenes with made-up programs: numbers, refusals, cancel."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from serve.service.models import Models
from serve.service.scenes.backend import Backend
from serve.service.scenes.model import SceneModel
from serve.service.service import Service
from serve.service.settings import Settings
from tests.serve.service.scenes.test_tasks import ended, submitted
from tests.support.processes import until
from tests.support.scene_pipelines import WAIT_S, pipeline
from tests.support.scene_programs import ScenePrograms, frame, true_depth
from tests.support.services import client_of

VIEWS = (3, 9)
ASKED: dict[str, Any] = {
    "image_paths": [f"{number}.png" for number in VIEWS],
    "process_res": 42,
    "export_format": "mini_npz",
}


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch) -> ScenePrograms:
    made = ScenePrograms()
    monkeypatch.setattr("serve.backend.open_runtime", made)
    return made


@pytest.fixture
def client(tmp_path: Path, programs: ScenePrograms) -> Iterator[TestClient]:
    assert programs.views == {}
    for number in (*VIEWS, 12):
        Image.fromarray(frame(number)).save(tmp_path / f"{number}.png")
    with pipeline(views=(1, 2)) as made:
        service = Service(
            Models(), Settings(), backend=Backend(tmp_path, SceneModel(lambda: made, "views"))
        )
        service.start()
        yield client_of(service)
        service.close()


def test_a_task_has_the_depth_of_the_engine(client: TestClient) -> None:
    task = submitted(client, **ASKED)
    assert ended(client, task)["status"] == "completed", ended(client, task)["message"]
    data = client.get(f"/task/{task}/files/exports/mini_npz/results.npz").content
    with np.load(io.BytesIO(data)) as found:
        expected = np.stack([true_depth(number) for number in VIEWS])
        np.testing.assert_allclose(found["depth"], expected, rtol=1e-4)


def test_what_the_engine_has_no_program_for_is_told(client: TestClient) -> None:
    paths = [*ASKED["image_paths"], "12.png"]
    found = ended(client, submitted(client, **{**ASKED, "image_paths": paths}))
    assert (found["status"], "3 views" in found["message"]) == ("failed", True), found["message"]


def test_a_task_is_cancelled_between_stages(client: TestClient, programs: ScenePrograms) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def hold(stage: str) -> None:
        if stage == "trunk":
            begun.set()
            go_on.wait(WAIT_S)

    programs.on_run = hold
    task = submitted(client, **ASKED)
    assert begun.wait(WAIT_S)
    assert until(lambda: client.get(f"/task/{task}").json()["progress"] == 0.5)
    client.post(f"/task/{task}/cancel")
    go_on.set()
    assert ended(client, task)["status"] == "cancelled"
    assert "head" not in programs.views
    assert ended(client, submitted(client, **ASKED))["status"] == "completed"
