"""The front doors in an environment that only serves: made anew, without torch."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

import numpy as np
import pytest

from depth.maps.files import read_depth
from serve.pipeline import DepthPipeline
from serve.shapes import BUCKETS
from tests.support.hostile import encoded, picture
from tests.support.places import ROOT
from tests.support.processes import wait_for
from tests.support.programs import make_artifact

EXTRAS = "serve-openvino,http,grpc"
PNG = encoded(picture(56, 70), "PNG")

pytestmark = pytest.mark.long


@pytest.fixture(name="python", scope="module")
def python_fixture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return environment(tmp_path_factory.mktemp("lean"), sys.executable, EXTRAS)


def environment(folder: Path, base: str, extras: str, free: str = "") -> Path:
    """The Python of an environment of `base` with the locked versions of what `extras` need.

    free  a package of any version
    """
    own = ROOT / ".tools" / "uv" / "bin" / "uv"
    uv = str(own) if own.is_file() else shutil.which("uv")
    if uv is None:
        pytest.skip("there is no uv to make an environment with")
    locked = folder / "locked.txt"
    lock = (ROOT / "infra" / "locks" / "cpu.txt").read_text()
    lines = [line.rstrip(" \\") for line in lock.splitlines() if line[:1].isalpha()]
    locked.write_text("\n".join(line for line in lines if not line.startswith(f"{free}==")))
    python = folder / "venv" / "bin" / "python"
    for words in (
        ("venv", "-q", "-p", base, str(folder / "venv")),
        ("pip", "install", "-q", "-p", str(python), "-c", str(locked), f"{ROOT}[{extras}]"),
    ):
        done = subprocess.run([uv, *words], capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"no environment could be made: {done.stderr.strip()[-300:]}")
    return python


def at_hand(version: str) -> str:
    """A Python of this version, on the path or of pyenv. Skips the test without one."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    found = [shutil.which(f"python{version}"), *pyenv.glob(f"versions/{version}.*/bin/python")]
    for python in map(str, filter(None, found)):  # a shim of pyenv may refuse to run
        if subprocess.run([python, "--version"], capture_output=True, check=False).returncode == 0:
            return python
    pytest.skip(f"there is no Python {version}")


@pytest.mark.parametrize("version", ["3.10", "3.11", "3.12"])
def test_later_pythons_serve_the_same_bytes(version: str, tmp_path: Path) -> None:
    python = environment(tmp_path, at_hand(version), "serve-openvino", "click")  # of 3.9
    artifact = make_artifact(tmp_path).folder
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.png").write_bytes(PNG)
    depth = {"here": [sys.executable, str(ROOT / "main.py")], "there": [python.with_name("depth")]}
    for out, command in depth.items():
        words = ("serve", "folder", artifact, "--input", "in", "--output", out)
        done = subprocess.run([*command, *words], cwd=tmp_path, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
    here, there = ((tmp_path / out / "a.png").read_bytes() for out in depth)
    assert here == there


def started(python: Path, place: Path, *words: object) -> subprocess.Popen[bytes]:
    """The installed command `depth serve`, whose stderr is in a file of `place`."""
    clean = {name: text for name, text in os.environ.items() if not name.startswith("PYTHON")}
    with (place / "stderr").open("w") as stderr:
        return subprocess.Popen(
            [str(python.with_name("depth")), "serve", *map(str, words)],
            cwd=place,
            env=clean,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
        )


def test_the_environment_has_no_torch(python: Path) -> None:
    code = (
        "import importlib.util, serve.service.server, serve.pipeline\n"
        "print(importlib.util.find_spec('torch'))"
    )
    words = [str(python), "-c", code]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd="/")
    assert (done.returncode, done.stdout) == (0, "None\n"), done.stderr


def test_http_answers_with_the_numbers_of_the_pipeline(python: Path, tmp_path: Path) -> None:
    artifact = make_artifact(tmp_path).folder
    with DepthPipeline(artifact, policy=BUCKETS) as pipeline:
        wanted = pipeline(PNG).depth.values
    service = started(python, tmp_path, "http", artifact, "--port", "0")
    try:
        said = wait_for(service, tmp_path / "stderr", "ready: ")
        url = said.partition("ready: ")[2].split()[0]
        request = urllib.request.Request(f"{url}/v1/depth?format=npz", PNG)
        with urllib.request.urlopen(request, timeout=30) as answer:
            (tmp_path / "a.npz").write_bytes(answer.read())
    finally:
        service.terminate()
        assert service.wait(60) == 0
    np.testing.assert_array_equal(read_depth(tmp_path / "a.npz").depth.values, wanted)


def test_the_sidecar_gives_values_from_0_to_1(python: Path, tmp_path: Path) -> None:
    artifact = make_artifact(tmp_path).folder
    words = [str(python.with_name("depth")), "serve", "sidecar", str(artifact), "--input", "-"]
    clean = {name: text for name, text in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(words, input=PNG, capture_output=True, check=False, env=clean)
    assert done.returncode == 0, done.stderr.decode()
    found = json.loads(done.stdout)
    assert (found["height"], found["width"], len(found["depth"])) == (56, 70, 56 * 70)
    assert (min(found["depth"]), max(found["depth"])) == (0, 1)
    assert b"PROGRESS 100" in done.stderr
