"""Tasks that make scenes: upstream's paths and answers, uploads, cancel, files, a restart."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from depth.errors import InputError
from serve.service.scenes.task import COMPLETED
from tests.support.processes import until
from tests.support.scene_services import Fake, scene_service
from tests.support.services import PNG, client_of


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """With two images, and a folder beside it that nobody may see."""
    found = tmp_path / "root"
    (found / "photos").mkdir(parents=True)
    for name in ("a.png", "b.png"):
        (found / "photos" / name).write_bytes(PNG)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.png").write_bytes(PNG)
    return found


@pytest.fixture
def fake() -> Fake:
    return Fake()


@pytest.fixture
def client(root: Path, fake: Fake) -> Iterator[TestClient]:
    with scene_service(root, fake) as service:
        yield client_of(service)


PATHS = ["photos/a.png", "photos/b.png"]


def submitted(client: Any, **body: Any) -> str:
    answer = client.post("/inference", json={"image_paths": PATHS, **body})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["task_id"])


def ended(client: Any, task: str, seconds: float = 20) -> dict[str, Any]:
    def state() -> Any:
        return client.get(f"/task/{task}").json()

    assert until(lambda: state()["status"] not in ("pending", "running"), seconds)
    found: dict[str, Any] = state()
    return found


def test_a_task_of_paths_writes_into_the_callers_folder(client: TestClient, root: Path) -> None:
    answer = client.post("/inference", json={"image_paths": PATHS, "export_dir": "out"})
    assert answer.json() == {
        "success": True,
        "message": "Task submitted successfully",
        "task_id": answer.json()["task_id"],
        "export_dir": "out",
        "export_format": "mini_npz-glb",
        "processing_time": None,
    }
    found = ended(client, answer.json()["task_id"])
    assert (found["status"], found["progress"], found["num_images"]) == (COMPLETED, 1.0, 2)
    assert found["message"].startswith(f"[{found['task_id']}] Completed in ")
    assert found["created_at"] <= found["started_at"] <= found["completed_at"]
    with np.load(root / "out" / "exports" / "mini_npz" / "results.npz") as arrays:
        assert arrays["depth"].shape == (2, 24, 32)
    assert {path.name for path in (root / "out").iterdir()} == {
        "depth_vis",
        "exports",
        "scene.glb",
        "scene.jpg",
        "scene.json",
    }


def test_an_absolute_path_in_the_root_is_taken(client: TestClient, root: Path) -> None:
    task = submitted(client, image_paths=[str(root / "photos" / "a.png")])
    assert ended(client, task)["status"] == COMPLETED


def test_what_is_asked_comes_to_the_model(client: TestClient, fake: Fake) -> None:
    eye = np.eye(4).tolist()
    lens = [[50.0, 0, 20], [0, 50, 15], [0, 0, 1]]
    more = {"extrinsics": [eye, eye], "intrinsics": [lens, lens]}
    asked = {"use_ray_pose": True, "ref_view_strategy": "middle", "process_res": 280, **more}
    ended(client, submitted(client, process_res_method="lower_bound_resize", **asked))
    found = fake.asked
    assert found is not None
    assert (found.ray_pose, found.strategy, found.process_res) == (True, "middle", 280)
    assert found.method == "lower_bound_resize"
    assert found.cameras is not None
    np.testing.assert_array_equal(found.cameras.intrinsics[1], np.float32(lens))


def test_uploads_are_named_and_their_files_come_back(client: TestClient, root: Path) -> None:
    files = [("images", (name, PNG)) for name in ("x.png", "../../y.png")]
    options = {"export_format": "mini_npz-ply", "filter_black_bg": True}
    answer = client.post("/inference", files=files, data={"request": json.dumps(options)})
    assert answer.status_code == 200, answer.text
    task = answer.json()["task_id"]
    assert ended(client, task)["request"]["image_paths"] == ["x.png", "y.png"]
    listed = client.get(f"/task/{task}/files").json()
    assert [each["name"] for each in listed["files"]] == [
        "exports/mini_npz/results.npz",
        "points.ply",
        "scene.json",
    ]
    for each in listed["files"]:
        got = client.get(each["url"])
        assert (got.status_code, len(got.content)) == (200, each["bytes"])
    about = json.loads(client.get(f"/task/{task}/files/scene.json").content)
    assert [each["name"] for each in about["cameras"]] == ["x.png", "y.png"]
    assert about["options"]["black"] is False
    with zipfile.ZipFile(io.BytesIO(client.get(listed["zip"]).content)) as archive:
        assert archive.testzip() is None
        assert sorted(archive.namelist()) == [each["name"] for each in listed["files"]]
    assert sorted(path.name for path in root.iterdir()) == [".tasks", "photos"]
    assert not (root / ".tasks" / task / "images").exists()  # they have served


def test_a_deleted_task_is_gone_with_its_files(client: TestClient, root: Path) -> None:
    task = submitted(client)
    ended(client, task)
    assert client.delete(f"/task/{task}").json() == {"message": f"Task {task} deleted successfully"}
    for path in (f"/task/{task}", f"/task/{task}/files", f"/task/{task}/files.zip"):
        answer = client.get(path)
        assert (answer.status_code, answer.json()["detail"]) == (404, "Task not found")
    assert [*(root / ".tasks").iterdir()] == []


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({}, "image_paths"),
        ({"image_paths": []}, "image_paths"),
        ({"image_paths": "a.png"}, "image_paths"),
        ({"image_paths": [1]}, "image_paths.0"),
        ({"image_paths": ["missing.png"]}, "image_paths.0"),
        ({"image_paths": ["photos"]}, "image_paths.0"),
        ({"image_paths": PATHS, "export_format": "gltf"}, ""),
        ({"image_paths": PATHS, "process_res": 0}, "process_res"),
        ({"image_paths": PATHS, "process_res": 1e9}, "process_res"),
        ({"image_paths": PATHS, "process_res_method": "stretch"}, ""),
        ({"image_paths": PATHS, "ref_view_strategy": "last"}, ""),
        ({"image_paths": PATHS, "conf_thresh_percentile": 101}, "conf_thresh_percentile"),
        ({"image_paths": PATHS, "num_max_points": -1}, "num_max_points"),
        ({"image_paths": PATHS, "infer_gs": True}, "infer_gs"),
        ({"image_paths": PATHS, "export_format": "glb-gs_ply"}, "export_format"),
        ({"image_paths": PATHS, "export_format": "feat_vis"}, "export_format"),
        ({"image_paths": PATHS, "export_feat_layers": [3]}, "export_feat_layers"),
        ({"image_paths": PATHS, "extrinsics": [np.eye(4).tolist()] * 2}, ""),
        ({"image_paths": PATHS, "intrinsics": [[[1, 0, 0]] * 3] * 2}, ""),
        ({"image_paths": PATHS, "nonsense": 1}, "nonsense"),
        ({"image_paths": PATHS, "export_dir": "photos/a.png"}, "export_dir"),
        ({"image_paths": PATHS, "export_dir": "photos/a.png/below"}, "export_dir"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_a_bad_request_is_refused_with_details(
    client: TestClient, body: dict[str, Any], where: str
) -> None:
    answer = client.post("/inference", json=body)
    assert answer.status_code == 422, answer.text
    found = [".".join(map(str, each["loc"][1:])) for each in answer.json()["detail"]]
    assert where in found
    assert answer.json()["error"]


def test_what_fails_says_why(root: Path) -> None:
    with scene_service(root, Fake(error=InputError("image 2 is blank; leave it out"))) as service:
        client = client_of(service)
        found = ended(client, submitted(client, export_dir="out"))
        assert found["status"] == "failed"
        assert "image 2 is blank; leave it out" in found["message"]
        assert client.get(f"/task/{found['task_id']}/files").json()["files"] == []
    assert not (root / "out").exists()


def test_an_error_that_nobody_expected_keeps_its_text(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with scene_service(root, Fake(error=RuntimeError("/secret"))) as service:
        client = client_of(service)
        assert "/secret" not in ended(client, submitted(client))["message"]
    assert "/secret" in caplog.text


def test_cancel_ends_a_running_and_a_waiting_task(root: Path) -> None:
    with scene_service(root, Fake(0.2)) as service:
        client = client_of(service)
        first = submitted(client, image_paths=PATHS * 50)
        second = submitted(client)
        assert until(lambda: client.get(f"/task/{first}").json()["status"] == "running", 5)
        answer = client.delete(f"/task/{first}")
        assert (answer.status_code, "cancel" in answer.json()["detail"]) == (400, True)
        assert client.post("/reload").status_code == 400
        assert client.get("/tasks").json()["active_count"] == 2
        for task in (second, first):
            assert client.post(f"/task/{task}/cancel").status_code == 200
            assert ended(client, task)["status"] == "cancelled"
        assert client.post(f"/task/{first}/cancel").status_code == 400
        assert client.post(f"/task/{second}/resubmit").status_code == 200
        assert ended(client, second)["status"] == COMPLETED
        assert client.post(f"/task/{second}/resubmit").status_code == 400
        found = client.get("/tasks").json()
        assert (found["total_count"], found["active_count"]) == (2, 0)
        assert [each["task_id"] for each in found["completed_tasks"]] == [first, second]


def test_progress_is_that_of_the_scene(root: Path) -> None:
    with scene_service(root, Fake(0.05)) as service:
        client = client_of(service)
        task = submitted(client, image_paths=PATHS * 5)
        seen = []

        def over() -> bool:
            found = client.get(f"/task/{task}").json()
            seen.append(found["progress"] or 0.0)
            return bool(found["status"] == COMPLETED)

        assert until(over, 20)
        assert seen == sorted(seen)
        assert len({each for each in seen if 0.3 < each <= 0.5}) > 2


def test_the_model_is_loaded_by_the_first_task_and_again(client: TestClient, fake: Fake) -> None:
    before = client.get("/status").json()
    assert before == {
        "model_loaded": False,
        "model_dir": "fake",
        "device": "cpu",
        "load_time": None,
        "last_used": None,
        "uptime": 0.0,
        "gpu_memory": None,
        "gallery": False,
        "images": False,
    }
    ended(client, submitted(client))
    assert client.get("/status").json()["model_loaded"] is True
    assert client.post("/reload").json() == {"message": "Model reloaded successfully"}
    assert fake.closed
    assert client.get("/v1/models").json() == {"models": [], "scenes": True}
    assert client.get("/gpu-memory").json()["available"] is False


def test_cleanup_leaves_what_ended_lately(client: TestClient) -> None:
    ended(client, submitted(client))
    assert client.post("/cleanup").json() == {"message": "Cleanup completed", "active_tasks": 1}


def test_nothing_is_replaced_in_the_callers_folder(client: TestClient, root: Path) -> None:
    ended(client, submitted(client, export_dir="out"))
    answer = client.post("/inference", json={"image_paths": PATHS, "export_dir": "out"})
    assert (answer.status_code, answer.json()["detail"][0]["loc"]) == (422, ["body", "export_dir"])
    (root / "other").mkdir()
    (root / "other" / "scene.glb").write_text("mine")
    assert ended(client, submitted(client, export_dir="other"))["status"] == "failed"
    assert [path.name for path in (root / "other").iterdir()] == ["scene.glb"]
    assert (root / "other" / "scene.glb").read_text() == "mine"


def test_a_folder_that_leads_out_of_the_root_gets_nothing(client: TestClient, root: Path) -> None:
    outside = root.parent / "outside"
    (root / "out").mkdir()
    (root / "out" / "exports").symlink_to(outside)
    assert ended(client, submitted(client, export_dir="out"))["status"] == "failed"
    assert [path.name for path in outside.iterdir()] == ["secret.png"]
    assert [path.name for path in (root / "out").iterdir()] == ["exports"]
