"""The sidecar's process: what SimplePicture3D starts, a worker's streams and exit codes."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from serve.sidecar.frames import FrameReader, write_frame
from tests.support.places import ROOT
from tests.support.programs import make_artifact
from tests.support.sidecars import PNG, STUB_WORKER

pytestmark = pytest.mark.long  # processes and whole builds

GARBAGE = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def frames_of(data: bytes) -> list[dict[str, Any]]:
    """The headers of all frames; whatever else is there raises."""
    reader, found = FrameReader(io.BytesIO(data).readinto, 1 << 30), []
    while (head := reader.head()) is not None:
        reader.skip(head)
        assert isinstance(head.header, dict)
        found.append(head.header)
    return [each for each in found if each["type"] not in ("progress", "heartbeat")]


def requests(*headers: dict[str, Any]) -> bytes:
    out = io.BytesIO()
    for header in headers:
        write_frame(out.write, header, PNG if header["type"] == "depth" else b"")
    return out.getvalue()


def worker(data: bytes, *words: str) -> tuple[int, list[dict[str, Any]], str]:
    """Exit code, frames and stderr of a worker whose stdin is `data`."""
    command = [*STUB_WORKER, *words]
    done = subprocess.run(command, cwd=ROOT, input=data, capture_output=True, check=False)
    return done.returncode, frames_of(done.stdout), done.stderr.decode()


@pytest.mark.long
def test_simple_picture_3d_starts_it_in_place_of_its_own(tmp_path: Path) -> None:
    """Its call: module, folder, stdin null, and the model's folder below the home folder."""
    package = tmp_path / "app" / "python"
    package.mkdir(parents=True)
    (package / "depth_estimator.py").write_text("from serve.sidecar.cli import main\n\nmain()\n")
    models = tmp_path / "home" / ".simplepicture3d" / "models"
    models.mkdir(parents=True)
    make_artifact(models)
    (tmp_path / "image.png").write_bytes(PNG)
    absent = tmp_path / "absent"  # as in an environment that only serves
    absent.mkdir()
    (absent / "torch.py").write_text("raise ModuleNotFoundError(name='torch')\n")
    done = subprocess.run(
        [sys.executable, "-m", "python.depth_estimator", "--input", str(tmp_path / "image.png")],
        cwd=tmp_path / "app",
        env={**os.environ, "PYTHONPATH": f"{absent}:{ROOT}", "HOME": str(tmp_path / "home")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1
    data = json.loads(done.stdout)
    assert (data["height"], data["width"], len(data["depth"])) == (12, 20, 240)
    assert (min(data["depth"]), max(data["depth"])) == (0.0, 1.0)
    assert done.stderr.splitlines()[-1] == "PROGRESS 100"


def test_the_end_of_stdin_answers_what_is_there_and_exits_0() -> None:
    asked = [{"type": "depth", "id": str(number)} for number in range(6)]
    code, frames, stderr = worker(requests(*asked))
    assert code == 0
    assert frames[0]["type"] == "hello"
    assert {each["id"] for each in frames[1:7]} == set("012345")
    assert {each["type"] for each in frames[1:7]} == {"result"}
    assert "a stub was asked for" in stderr
    assert worker(b"")[0] == 0


def test_shutdown_says_goodbye() -> None:
    pipe = subprocess.PIPE
    with subprocess.Popen(STUB_WORKER, cwd=ROOT, stdin=pipe, stdout=pipe) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(requests({"type": "depth", "id": "a"}, {"type": "shutdown"}))
        process.stdin.flush()
        frames = frames_of(process.stdout.read())  # stdin stays open
    assert [each["type"] for each in frames] == ["hello", "result", "bye"]
    assert process.returncode == 0


def test_garbage_on_stdin_is_answered_and_ends_a_worker_without_a_socket() -> None:
    code, frames, stderr = worker(requests({"type": "ping", "id": "a"}) + GARBAGE)
    assert code == 1
    assert [each["type"] for each in frames] == ["hello", "pong", "error"]
    assert "begins with b'DSC1'" in frames[-1]["message"]
    assert "these are no frames" in stderr
    cut = requests({"type": "depth", "id": "a"})[:-5]
    code, frames, _ = worker(cut)
    assert (code, "the stream ended 5 bytes" in frames[-1]["message"]) == (1, True)
    too_large = struct.pack("<4sIQ", b"DSC1", 2, 1 << 40) + b"{}"
    assert "expected at most 200000000" in worker(too_large)[1][-1]["message"]


def test_garbage_on_stdin_leaves_the_socket_open(tmp_path: Path) -> None:
    from serve.sidecar.python.client import SidecarClient

    path = tmp_path / "run" / "s"
    words = [*STUB_WORKER, "--socket", str(path)]
    pipe = subprocess.PIPE
    with subprocess.Popen(words, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe) as process:
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(GARBAGE)
            process.stdin.flush()
            assert b"FrameError" in process.stdout.read()  # to its end: the connection is closed
            with SidecarClient(socket=path) as client:
                assert client.depth(PNG).values is not None
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
        finally:
            process.kill()


def test_what_a_library_prints_does_not_come_between_the_frames() -> None:
    code = """
        import os, sys
        from serve.sidecar import staying, values
        whole = values.stub
        def loud(held, asked, use):
            sys.stdout.write("printed\\n")
            sys.stdout.flush()
            os.write(1, b"written\\n")
            whole(held, asked, use)
        staying.stub = loud
        from serve.sidecar.cli import main
        sys.argv[1:] = ["--no-model", "--worker"]
        main()
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        cwd=ROOT,
        input=requests({"type": "depth", "id": "a"}),
        capture_output=True,
        check=False,
    )
    assert [each["type"] for each in frames_of(done.stdout)] == ["hello", "result"]
    assert b"printed\n" in done.stderr
    assert b"written\n" in done.stderr
    assert done.returncode == 0


def test_the_client_needs_two_files_and_numpy_alone(tmp_path: Path) -> None:
    for name in ("serve/__init__.py", "serve/sidecar/__init__.py", "serve/sidecar/frames.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    shutil.copytree(ROOT / "serve/sidecar/python", tmp_path / "serve/sidecar/python")
    code = f"""
        import sys
        from serve.sidecar.python.client import SidecarClient
        command = ["env", "-C", "{ROOT}", "PYTHONPATH={ROOT}", *{list(STUB_WORKER)!r}]
        with SidecarClient(command) as client:
            sys.stdout.write(str(client.depth({PNG!r}).values.shape))
        ours = sorted(name for name in sys.modules if name.split(".")[0] in ("depth", "serve"))
        assert ours == [
            "serve", "serve.sidecar", "serve.sidecar.frames", "serve.sidecar.python",
            "serve.sidecar.python.answers", "serve.sidecar.python.client",
            "serve.sidecar.python.workers",
        ], ours
        assert not {{"cv2", "typer", "PIL"}} & set(sys.modules)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("(12, 20)", "")


@pytest.mark.long
def test_the_network_itself_answers_a_worker_as_it_answers_one_call(tmp_path: Path) -> None:
    import numpy as np

    from serve.sidecar.formats import read_raw
    from serve.sidecar.python.client import SidecarClient
    from tests.support.sidecars import SIDECAR

    artifact = str(make_artifact(tmp_path).folder)
    (tmp_path / "image.png").write_bytes(PNG)
    words = [*SIDECAR, artifact, "-i", str(tmp_path / "image.png"), "--values", "native"]
    subprocess.run([*words, "-o", str(tmp_path / "a.f32")], cwd=ROOT, check=True)
    with SidecarClient([*SIDECAR, artifact, "--worker"]) as client:
        answer = client.depth(PNG, format="shm")
    once = read_raw((tmp_path / "a.f32").read_bytes())
    assert answer.values is not None
    assert np.allclose(answer.values, once.values, rtol=1e-5)
    assert (answer.facts["values"], answer.facts["model"]) == (once.kind, "demo")
