"""Tasks of a service over the torch network: upstream's numbers, by path and upload."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from depth_anything.da3.eager import EagerScenes
from depth_anything.da3.models import Chosen
from depth_anything_3.api import DepthAnything3
from serve.service.models import Models
from serve.service.scenes.backend import Backend
from serve.service.scenes.model import SceneModel
from serve.service.service import Service
from serve.service.settings import Settings
from tests.serve.service.scenes.test_tasks import ended
from tests.support.da3_pictures import SIDE, install, saved
from tests.support.services import client_of

NAMES = ("a.png", "b.png", "c.png")
OPTIONS = {"process_res": SIDE, "export_format": "mini_npz", "ref_view_strategy": "middle"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for name in NAMES:
        pixels = rng.integers(0, 256, (60, 90, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / name)
    return tmp_path


@pytest.fixture
def client(
    root: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[TestClient, DepthAnything3]]:
    install(monkeypatch)
    folder = saved(tmp_path_factory.mktemp("model"))
    chosen = Chosen("da3-small", folder / "model.safetensors")
    model = SceneModel(lambda: EagerScenes(chosen), "da3-small")
    service = Service(Models(), Settings(), backend=Backend(root, model))
    service.start()
    yield client_of(service), DepthAnything3.from_pretrained(folder)
    service.close()


def test_paths_and_uploads_give_upstreams_numbers(
    client: tuple[TestClient, DepthAnything3], root: Path
) -> None:
    http, upstream = client
    files = [("images", (name, (root / name).read_bytes())) for name in NAMES]
    answers = (
        http.post("/inference", json={"image_paths": NAMES, **OPTIONS}),
        http.post("/inference", files=files, data={"request": json.dumps(OPTIONS)}),
    )
    expected = upstream.inference(
        [str(root / name) for name in NAMES], process_res=SIDE, ref_view_strategy="middle"
    )
    for answer in answers:
        task = answer.json()["task_id"]
        assert ended(http, task)["status"] == "completed", ended(http, task)["message"]
        data = http.get(f"/task/{task}/files/exports/mini_npz/results.npz").content
        with np.load(io.BytesIO(data)) as found:
            np.testing.assert_allclose(found["depth"], expected.depth, atol=1e-6)
            np.testing.assert_allclose(found["extrinsics"], expected.extrinsics, atol=1e-6)


def test_what_the_network_refuses_is_told(client: tuple[TestClient, DepthAnything3]) -> None:
    http, _ = client
    lens = [[50.0, 0, 45], [0, 50, 30], [0, 0, 1]]
    eye = np.eye(4).tolist()
    eye[0][0] = 3.0  # no rotation
    body = {"image_paths": NAMES[:1], "extrinsics": [eye], "intrinsics": [lens]}
    answer = http.post("/inference", json=body)
    assert (answer.status_code, "extrinsics" in answer.json()["error"]) == (422, True)
