"""The model of a SageMaker endpoint: what is packed, what is refused, and that a container serves it."""  # noqa: E501

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tarfile
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.support.places import ROOT

SCRIPT = ROOT / "infra/containers/model_tarball.py"
pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="needs the environment of `make setup`"
)


def pack(*folders: Path, out: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), *map(str, folders), "--out", str(out)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_same_artifact_gives_the_same_bytes_and_nothing_else_is_packed(tmp_path: Path) -> None:
    from tests.support.stored_artifacts import FILES, make

    artifact = make(tmp_path / "one")
    (artifact.folder / "secret.txt").write_text("not of the artifact")
    copy = Path(shutil.copytree(artifact.folder, tmp_path / "two" / artifact.folder.name))
    os.utime(copy / "manifest.json", (0, 0))
    digests = set()
    for number, folder in enumerate((artifact.folder, copy)):
        out = tmp_path / f"{number}.tar.gz"
        done = pack(folder, out=out)
        digest = hashlib.sha256(out.read_bytes()).hexdigest()
        assert (done.returncode, done.stdout) == (0, f"{digest}  {out}\n"), done.stderr
        digests.add(digest)
    assert len(digests) == 1
    with tarfile.open(tmp_path / "0.tar.gz") as tar:
        members = tar.getmembers()
    own = {*FILES, "manifest.json", "report.json", "report.md"}
    assert {each.name for each in members} == {f"{artifact.folder.name}/{name}" for name in own}
    assert {(each.mode, each.uid, each.mtime, each.isreg()) for each in members} == {
        (0o644, 0, 0, True)
    }
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "0.tar.gz",
        "1.tar.gz",
        "one",
        "two",
    ]


@pytest.mark.long
def test_what_the_service_would_refuse_is_refused(tmp_path: Path) -> None:
    from tests.support.stored_artifacts import FILES, make

    good, other = make(tmp_path), make(tmp_path, model="vitb")
    failed, unproven = make(tmp_path, passed=False), make(tmp_path, passed=None, target="inf1")
    damaged, linked = make(tmp_path, precision="bf16"), make(tmp_path, target="onnx")
    (damaged.folder / next(iter(FILES))).write_bytes(b"torn")
    (tmp_path / "elsewhere").write_bytes((linked.folder / "report.md").read_bytes())
    (linked.folder / "report.md").unlink()
    (linked.folder / "report.md").symlink_to(tmp_path / "elsewhere")
    out = tmp_path / "model.tar.gz"
    for folders, said in (
        ((good.folder, other.folder), "an endpoint has one model"),
        ((good.folder, good.folder), "a folder with a plain name of its own"),
        ((failed.folder,), "failed its parity"),
        ((unproven.folder,), "was never measured on the chip"),
        ((damaged.folder,), "4 bytes, the manifest says 7"),
        ((linked.folder,), "report.md: "),
        ((tmp_path / "nothing",), "manifest.json"),
    ):
        done = pack(*folders, out=out)
        assert (done.returncode, done.stdout) == (1, "")
        assert said in done.stderr, done.stderr
        assert not out.exists()
    assert not list(tmp_path.glob(".*"))


def test_an_artifact_that_was_measured_on_the_chip_is_packed_with_its_proof(tmp_path: Path) -> None:
    from tests.support.stored_artifacts import make, verify

    artifact = make(tmp_path, passed=None, target="inf1")
    verify(artifact)
    done = pack(artifact.folder, out=tmp_path / "model.tar.gz")
    assert done.returncode == 0, done.stderr
    with tarfile.open(tmp_path / "model.tar.gz") as tar:
        assert f"{artifact.folder.name}/verified.json" in tar.getnames()
    verify(artifact, passed=False, counter=2)
    assert "failed its parity" in pack(artifact.folder, out=tmp_path / "no.tar.gz").stderr


@pytest.mark.long
def test_a_container_serves_the_model_as_sagemaker_asks(tmp_path: Path) -> None:
    """Loopback in place of SageMaker: its argument, its two paths, and the end of a container."""
    from tests.support.processes import wait_for
    from tests.support.programs import make_artifact

    artifact = make_artifact(tmp_path)
    assert pack(artifact.folder, out=tmp_path / "model.tar.gz").returncode == 0
    models = tmp_path / "model"
    with tarfile.open(tmp_path / "model.tar.gz") as tar:
        tar.extractall(models)
    place = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    own = {"PATH": place, "DEPTH_MODELS": str(models), "DEPTH_HOST": "127.0.0.1"}
    with (tmp_path / "stderr").open("w") as stderr:
        container = subprocess.Popen(
            ["sh", str(ROOT / "infra/containers/start.sh"), "serve", "--port", "0"],
            cwd=ROOT,
            env={**os.environ, **own},
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            text=True,
        )
    try:
        said = wait_for(container, tmp_path / "stderr", "ready: ")
        url = said.partition("ready: ")[2].split()[0]
        with urllib.request.urlopen(f"{url}/ping", timeout=10) as answer:
            assert answer.status == 200
        picture = (ROOT / "input_images/samples/room.jpg").read_bytes()
        headers = {"Content-Type": "image/jpeg", "Accept": "image/png"}
        request = urllib.request.Request(f"{url}/invocations", picture, headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            assert answer.read(8) == b"\x89PNG\r\n\x1a\n"
            assert answer.headers["Depth-Artifact"] == artifact.identity
        with pytest.raises(urllib.error.HTTPError, match="400"):
            urllib.request.urlopen(urllib.request.Request(f"{url}/invocations", b"x"), timeout=10)
        container.terminate()
        assert container.wait(60) == 0
    finally:
        container.kill()
        container.wait()


def test_without_a_model_the_container_says_so(tmp_path: Path) -> None:
    place = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["sh", str(ROOT / "infra/containers/start.sh"), "serve", "--port", "0"],
        cwd=ROOT,
        env={**os.environ, "PATH": place, "DEPTH_MODELS": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "manifest.json" in done.stderr
