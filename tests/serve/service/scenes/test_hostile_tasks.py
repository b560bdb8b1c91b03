"""Requests that mean harm: none gets a 5xx, and none reads or writes outside the root."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.support.scene_services import scene_service
from tests.support.services import PNG, client_of

SECRET = "secret-0f3a"
ESCAPES = (
    "../outside/secret.png",
    "photos/../../outside/secret.png",
    "photos/link.png",
    "photos/away/secret.png",
    "loop/loop",
    "/etc/passwd",
    "//etc/passwd",
    "/proc/self/environ",
    "/dev/zero",
    "photos/pipe",
    ".",
    "..",
    "/",
    "~/secret.png",
    ".tasks",
    ".tasks/../.tasks/x",
    "photos\\..\\..\\outside\\secret.png",
    "a\0b.png",
    "photos/a.png\0.jpg",
    "\ud800.png",
    "\u202egnp.a",
    "..\u2215outside",
    "%2e%2e/outside/secret.png",
    "file:///etc/passwd",
    "x" * 300 + ".png",
    "/".join(["d"] * 2000),
    "photos/a.png/",
    "photos/a.png/..",
    "con\r\nSet-Cookie: a=b",
    "$(touch x).png",
)
WRONG: tuple[Any, ...] = (None, True, -1, 1.5, 1e308, "", "x", [], [[]], {}, {"a": 1}, ["a"] * 9)
FIELDS = (
    "image_paths",
    "export_dir",
    "export_format",
    "extrinsics",
    "intrinsics",
    "process_res",
    "process_res_method",
    "export_feat_layers",
    "conf_thresh_percentile",
    "num_max_points",
    "ref_view_strategy",
)
BODIES = (
    b"",
    b"null",
    b"[]",
    b'"x"',
    b"{",
    b"\xff\xfe",
    b"[" * 100_000,
    b'{"image_paths":' + b"[" * 50_000 + b"]" * 50_000 + b"}",
    b'{"image_paths":["photos/a.png"],"process_res":' + b"9" * 5000 + b"}",
    b'{"image_paths":["photos/a.png"],"conf_thresh_percentile":NaN}',
    b'{"image_paths":["photos/a.png"],"conf_thresh_percentile":1e999}',
    b'{"image_paths":["' + b"a" * 1_000_000 + b'"]}',
    json.dumps({"image_paths": ["photos/a.png"] * 5000}).encode(),
    json.dumps({"image_paths": ["photos/a.png"], "extrinsics": [[[0] * 4] * 4]}).encode(),
    json.dumps(
        {
            "image_paths": ["photos/a.png"],
            "extrinsics": [[[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1]]],
            "intrinsics": [[[1, 0, 0]] * 3],
        }
    ).encode(),
)
LINE = b"--b\r\n"
FILE = b'Content-Disposition: form-data; name="images"; filename="%s"\r\n\r\n'
FORMS = (
    b"",
    b"--",
    b"--b--\r\n",
    LINE,
    LINE + FILE % b"a.png",
    LINE + FILE % b"a.png" + PNG,
    LINE + b'Content-Disposition: form-data; name="other"; filename="a.png"\r\n\r\nx\r\n--b--\r\n',
    LINE + b"X: " + b"y" * 50_000 + b"\r\n\r\n",
    *(
        LINE + FILE % name + PNG + b"\r\n--b--\r\n"
        for name in (b"../../../x.png", b"/etc/passwd", b"\0", b"", b".", b"\xff\xfe", b"a" * 5000)
    ),
    *(
        LINE
        + FILE % b"a.png"
        + PNG
        + b'\r\n--b\r\nContent-Disposition: form-data; name="request"\r\n\r\n'
        + text
        + b"\r\n--b--\r\n"
        for text in (b"", b"[]", b"{", b"\xff", b'{"export_dir":"../x"}', b'{"image_paths":["a"]}')
    ),
)
PATHS = (
    "/task/",
    "/task/..",
    "/task/%2e%2e",
    "/task/%00",
    "/task/%ff",
    "/task/{id}/files/",
    "/task/{id}/files/..%2ftask.json",
    "/task/{id}/files/../task.json",
    "/task/{id}/files/%2e%2e/task.json",
    "/task/{id}/files/%00",
    "/task/{id}/files//etc/passwd",
    "/task/{id}/files/scene.json/",
    "/task/{id}/files/" + "x" * 5000,
    "/gallery/../outside/secret.png",
    "/gallery/..%2foutside/secret.png",
    "/gallery/photos/link.png",
    "/gallery/photos/away/secret.png",
    "/gallery/.tasks/{id}/task.json",
    "/gallery/%00",
    "/gallery/%ff",
    "/gallery/photos/pipe",
    "/gallery//etc/passwd",
    "/gallery/manifest/...json",
    "/gallery/manifest/..%2foutside.json",
    "/gallery/manifest/%00.json",
    "/gallery/manifest/photos.json?x=1",
    "/page/..%2f..%2fservice.py",
)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("hostile")
    outside, found = place / "outside", place / "root"
    outside.mkdir()
    (outside / "secret.png").write_bytes(PNG + SECRET.encode())
    photos = found / "photos"
    photos.mkdir(parents=True)
    (photos / "a.png").write_bytes(PNG)
    (photos / "link.png").symlink_to(outside / "secret.png")
    (photos / "away").symlink_to(outside)
    (found / "loop").symlink_to(found / "loop")
    os.mkfifo(photos / "pipe")
    return found


@pytest.fixture(scope="module")
def client(root: Path) -> Iterator[TestClient]:
    with scene_service(root, gallery=root) as service:
        yield client_of(service)


def requests() -> list[tuple[str, str, dict[str, Any]]]:
    """(method, path, what httpx sends)."""
    found: list[tuple[str, str, dict[str, Any]]] = []
    json_header = {"Content-Type": "application/json"}
    form = {"Content-Type": "multipart/form-data; boundary=b"}

    def post(body: Any) -> None:
        text = json.dumps(body, allow_nan=True).encode()
        found.append(("POST", "/inference", {"content": text, "headers": json_header}))

    for path in ESCAPES:
        post({"image_paths": [path]})
        post({"image_paths": ["photos/a.png", path], "export_dir": "photos"})
        post({"image_paths": ["photos/a.png"], "export_dir": path})
    for field in FIELDS:
        for value in WRONG:
            post({"image_paths": ["photos/a.png"], "export_format": "ply", field: value})
    for body in BODIES:
        found.append(("POST", "/inference", {"content": body, "headers": json_header}))
    for body in FORMS:
        found.append(("POST", "/inference", {"content": body, "headers": form}))
    found += [("GET", path, {}) for path in PATHS]
    found += [
        (method, path, {})
        for method in ("DELETE", "POST", "PUT", "PATCH")
        for path in (
            "/task/x",
            "/task/..%2f..",
            "/tasks",
            "/task/x/cancel",
            "/gallery/photos/a.png",
        )
    ]
    return found


def test_hostile_requests_get_4xx_and_nothing_leaves_the_root(
    client: TestClient, root: Path
) -> None:
    asked = requests()
    random.Random(0).shuffle(asked)  # noqa: S311 - the same order each time
    assert len(asked) > 200
    answer = client.post("/inference", json={"image_paths": ["photos/a.png"]})
    task = answer.json()["task_id"]
    before = everything(root.parent / "outside")
    taken = 0
    for method, path, more in asked:
        answer = client.request(method, path.replace("{id}", task), **more)
        assert answer.status_code < 500, (method, path, str(more)[:200], answer.text[:500])
        assert SECRET.encode() not in answer.content, (method, path)
        taken += answer.status_code == 200 and method == "POST"
    for each in client.get("/tasks").json()["tasks"]:
        client.post(f"/task/{each['task_id']}/cancel")
    assert taken < len(asked) / 4  # nearly all are refused, so that the test is about refusals
    assert everything(root.parent / "outside") == before
    assert sorted(path.name for path in root.parent.iterdir()) == ["outside", "root"]
    assert client.get("/status").status_code == 200


def everything(folder: Path) -> list[tuple[str, int]]:
    return sorted((str(path), path.stat().st_mtime_ns) for path in folder.rglob("*"))


OUTSIDE = [path for path in ESCAPES if not path.startswith("photos/a.png/")]


@pytest.mark.parametrize("path", OUTSIDE, ids=range(len(OUTSIDE)))
def test_no_escape_is_taken_as_an_image(client: TestClient, path: str) -> None:
    answer = client.post("/inference", content=json.dumps({"image_paths": [path]}).encode())
    assert answer.status_code == 422, answer.text
    assert "detail" in answer.json()


@pytest.mark.parametrize("path", ["..", "/", "/etc/x", "../outside/x", "photos/away/x", "~/../.."])
def test_no_escape_is_taken_as_a_folder(client: TestClient, path: str) -> None:
    answer = client.post("/inference", json={"image_paths": ["photos/a.png"], "export_dir": path})
    assert answer.status_code == 422, answer.text


def test_the_tasks_folder_is_nobodys_place(client: TestClient) -> None:
    for path in (".tasks", ".tasks/new", "photos/../.tasks/x"):
        body = {"image_paths": ["photos/a.png"], "export_dir": path}
        answer = client.post("/inference", json=body)
        assert (answer.status_code, "outside" in answer.json()["error"]) == (422, True)


def test_a_body_over_the_limit_is_refused(client: TestClient) -> None:
    answer = client.post("/inference", content=b" " * 8_000_001)
    assert answer.status_code == 413
