"""`--use-backend`: what is submitted to a backend, how it is followed, and how it fails."""

from __future__ import annotations

import json
import logging
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, Optional

import pytest

from tests.serve.service.scenes.test_interrupted_tasks import started
from tests.support.colmap_models import lens, write_binary
from tests.support.da3_commands import da3, prepare
from tests.support.hostile import picture

ID = "0f8fad5b-d9cb-469f-a165-70867728950e"
OK = {"success": True, "task_id": ID, "message": "Task submitted"}


class Answers:
    """A backend with prepared answers; `bodies` has the requests it got."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.bodies: list[Any] = []
        self.paths: list[str] = []
        self.tokens: list[Optional[str]] = []

    @contextmanager
    def url(self) -> Iterator[str]:
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                owner.bodies.append(json.loads(self.rfile.read(length)))
                self.do_GET()

            def do_GET(self) -> None:
                owner.paths.append(self.path)
                owner.tokens.append(self.headers["Authorization"])
                answer = owner.answers.pop(0)
                code, data = answer if isinstance(answer, tuple) else (200, answer)
                text = data if isinstance(data, bytes) else json.dumps(data).encode()
                self.send_response(code)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


def state(status: str, progress: Optional[float], message: str) -> dict[str, Any]:
    return {"task_id": ID, "status": status, "progress": progress, "message": message}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("place")
    prepare(folder)
    return folder


@pytest.fixture(autouse=True)
def place(shared: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(shared)
    monkeypatch.delenv("DEPTH_TOKEN", raising=False)
    monkeypatch.setattr(logging.getLogger(), "level", logging.WARNING)
    monkeypatch.setattr("depth_anything.da3.remote._POLL_S", 0.01)
    return shared


def test_the_body_is_upstreams_and_the_command_waits(place: Path) -> None:
    states = [state("pending", None, "queued"), state("running", 0.3, "inferring")]
    backend = Answers(OK, *states, state("completed", 1.0, "done"))
    flags = ("--use-ray-pose", "--ref-view-strategy", "first", "--process-res", 280)
    more = ("--export-format", "mini_npz", "--num-max-points", 7, "--no-show-cameras")
    with backend.url() as url:
        ended = da3("images", "photos", "--use-backend", "--backend-url", url, *flags, *more)
    assert (ended.code, ended.out) == (0, f"{ID}\n"), ended.err
    assert backend.paths == ["/inference"] + [f"/task/{ID}"] * 3
    (body,) = backend.bodies
    assert body.pop("export_dir").startswith(f"{place}/outputs/outputs_")
    assert body == {
        "image_paths": [f"{place}/photos/{name}" for name in ("a.PNG", "b.png", "c.jpg")],
        "export_format": "mini_npz",
        "process_res": 280,
        "process_res_method": "upper_bound_resize",
        "export_feat_layers": [],
        "align_to_input_ext_scale": True,
        "use_ray_pose": True,
        "ref_view_strategy": "first",
        "conf_thresh_percentile": 40.0,
        "num_max_points": 7,
        "show_cameras": False,
        "feat_vis_fps": 15,
    }
    assert [line for line in ended.err.splitlines() if line in ("queued", "inferring", "done")] == [
        "queued",
        "inferring",
        "done",
    ]
    assert "written by the backend: outputs/outputs_" in ended.err


def test_no_wait_only_submits_and_a_token_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEPTH_TOKEN", "a" * 32)
    backend = Answers(OK)
    with backend.url() as url:
        ended = da3("image", "photos/b.png", "--use-backend", "--backend-url", url, "--no-wait")
    assert (ended.code, ended.out) == (0, f"{ID}\n")
    assert f"submitted; `curl {url}/task/{ID}` tells how far it is" in ended.err
    assert backend.tokens == [f"Bearer {'a' * 32}"]


def test_cameras_of_a_model_are_sent(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    picture(48, 64).save(tmp_path / "images/a.png")
    write_binary(tmp_path / "sparse", [lens("PINHOLE")], ["a.png"])
    backend = Answers(OK)
    with backend.url() as url:
        flags = ("--use-backend", "--backend-url", url, "--no-wait")
        ended = da3("auto", tmp_path, *flags, "--no-align-to-input-ext-scale")
    assert ended.code == 0, ended.err
    (body,) = backend.bodies
    assert body["align_to_input_ext_scale"] is False
    assert [len(row) for row in body["extrinsics"][0]] == [4, 4, 4]
    assert body["intrinsics"][0][2] == [0, 0, 1]


FAILURES: list[tuple[list[Any], str]] = [
    ([state("failed", 1.0, "no memory")], f"task {ID} failed: no memory"),
    ([state("cancelled", 0.5, "by a user")], f"task {ID} cancelled: by a user"),
    ([(404, {"detail": "Task not found"})], "404 Not Found: Task not found"),
    ([(500, b"<html>")], "500 Internal Server Error: no reason given"),
    ([b"no json"], "the answer is no JSON: is it a backend?"),
    ([b"[1]"], "the answer is no object: is it a backend?"),
    ([b'{"status": "\\u001b[2J"}'], "\\x1b[2J"),
]


@pytest.mark.parametrize(("answers", "said"), FAILURES, ids=lambda value: str(value)[:20])
def test_failures_have_the_reason(answers: list[Any], said: str) -> None:
    with Answers(OK, *answers).url() as url:
        ended = da3("image", "photos/b.png", "--use-backend", "--backend-url", url)
    assert ended.code == 1
    assert said in ended.err
    assert "\x1b" not in ended.err


def test_a_scene_that_is_refused() -> None:
    loc = {"loc": ["body", "process_res"], "msg": "too large", "type": "value_error"}
    for answer, said in (
        ((422, {"detail": [loc]}), "422 Unprocessable Entity: process_res: too large"),
        ({"success": False, "message": "full"}, "refused the scene: full"),
        ({"success": True}, "refused the scene"),
    ):
        with Answers(answer).url() as url:
            ended = da3("image", "photos/b.png", "--use-backend", "--backend-url", url)
        assert (ended.code, said in ended.line()) == (1, True), ended.err


def test_nobody_answers() -> None:
    ended = da3("image", "photos/b.png", "--use-backend", "--backend-url", "http://127.0.0.1:9")
    assert ended.code == 1
    assert "http://127.0.0.1:9: no backend answers (" in ended.line()
    assert "start it with `python main.py da3 backend`, or leave out --use-backend" in ended.line()


@pytest.mark.parametrize("url", ["localhost:8008", "file:///etc/passwd", "http://", ""])
def test_addresses_that_are_none(url: str) -> None:
    ended = da3("image", "photos/b.png", "--use-backend", "--backend-url", url)
    assert (ended.code, "expected http://HOST:PORT" in ended.line()) == (2, True)


def test_our_own_backend_makes_the_files(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    picture(48, 64).save(root / "a.png")
    process, client = started(root, 0.01)
    try:
        flags = ("--use-backend", "--backend-url", client.base_url, "--export-dir", root / "out")
        ended = da3("image", root / "a.png", *flags)
        outside = da3("image", "photos/b.png", *flags[:3], "--export-dir", root / "other")
    finally:
        client.close()
        process.send_signal(signal.SIGTERM)
        process.wait(10)
    assert ended.code == 0, ended.err
    assert (root / "out/scene.glb").is_file()
    assert (outside.code, "outside the folder that this service may use" in outside.err) == (
        1,
        True,
    ), outside.err
