"""A compile job that is killed, wherever that is: the same command again makes it whole."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants
from huggingface_hub.utils import reset_sessions

from compile.build.package import is_whole
from depth.artifact.manifest import Artifact
from depth.files import sha256_bytes
from depth.weights.registry import published_files
from depth_anything_v2.config import MODELS, model_row
from tests.support import hub_mirror, s3_server
from tests.support.jobs import (
    JOB,
    STEPS,
    command,
    done_before,
    job_folder,
    only_artifact,
    prepare,
    report,
    stored,
)
from tests.support.killed import Kill, copied_from, killed
from tests.support.networks import TINY, weights

SPLIT = (*JOB, "--split")  # two programs, so that there is a middle
STORE = ("--store", "store")
REPLACE = "pathlib:Path.replace"  # what gives a written file its name

PLACES = {
    "fetch begins": Kill("compile.job.steps:fetch_weights"),
    "fetch has ended": Kill("compile.job.steps:fetch_weights", "after"),
    "preflight begins": Kill("compile.job.steps:check_operators"),
    "preflight has ended": Kill("compile.job.steps:check_operators", "after"),
    "preflight is half kept": Kill(REPLACE, given="preflight.json"),
    "precision begins": Kill("compile.job.steps:choose_precision"),
    "precision has ended": Kill("compile.job.steps:choose_precision", "after"),
    "precision is half kept": Kill(REPLACE, given="precision.json"),
    "build begins": Kill("compile.job.steps:build_artifact"),
    "build has one program": Kill("compile.targets.onnx:build", "after"),
    "build has every program": Kill("compile.build.build:write_reports"),
    "build has the manifest": Kill("compile.build.package:read_artifact", "after"),
    "build has ended": Kill("compile.job.steps:build_artifact", "after"),
    "push begins": Kill("compile.job.steps:push_artifact"),
    "push has half an object": Kill(REPLACE, given="store/objects/"),
    "push has one object": Kill("depth.store.folder:FolderStore.upload", "after"),
    "push has all but the manifest": Kill("depth.store.push:_write_manifest"),
    "push has ended": Kill("compile.job.steps:push_artifact", "after"),
}
IN_THE_BUILD = ("build has one program", "build has every program", "build has the manifest")


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A current folder with weights, no photographs and an empty store."""
    prepare(tmp_path, monkeypatch)


@pytest.fixture(scope="module")
def finished_job(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder after the same job without a store."""
    folder = tmp_path_factory.mktemp("built")
    with pytest.MonkeyPatch.context() as patch:
        prepare(folder, patch)
        assert command(*SPLIT).code == 0
    return folder


@pytest.fixture
def built(finished_job: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the finished job. Later jobs copy its programs instead of exporting them."""
    monkeypatch.setattr("compile.targets.onnx.build", copied_from(str(finished_job)))
    return finished_job


def copies_programs_of(built: Path) -> str:
    """The same for another process, in Python."""
    return (
        "from compile.targets import onnx\n"
        "from tests.support.killed import copied_from\n"
        f"onnx.build = copied_from({str(built)!r})\n"
    )


def half_made() -> list[Path]:
    """Folders of work in progress."""
    return list(Path("out").glob(".building-*"))


def megabytes(artifact: Artifact) -> list[float]:
    files = [file for program in artifact.manifest.programs for file in program.files]
    return [file.size_bytes / 1e6 for file in files]


@pytest.mark.parametrize("name", PLACES)
@pytest.mark.long
def test_a_killed_job_goes_on_and_ends_whole(name: str, built: Path) -> None:
    if name.startswith("push"):  # saves the time to come that far
        shutil.copytree(built, ".", dirs_exist_ok=True)
    killed([*SPLIT, *STORE], PLACES[name], copies_programs_of(built))
    assert bool(half_made()) == (name in IN_THE_BUILD)
    seen = [path for path in Path("out").glob("[!.]*") if path.name != "jobs"]
    assert all(map(is_whole, seen)), "half an artifact has its name"
    assert len(stored()) == (name == "push has ended")
    assert not (job_folder() / "report.md").exists()
    objects = {path: path.stat().st_mtime_ns for path in Path("store").glob("objects/[!.]*")}

    ended = command(*SPLIT, *STORE)
    artifact = only_artifact()
    assert (ended.code, ended.out) == (0, f"{artifact.folder}\n")
    assert not half_made()
    assert stored() == [artifact.identity]
    assert "**built and verified**" in report()
    step = name.split()[0]
    kept = STEPS[1 : STEPS.index(step)] if step != "fetch" else []
    assert done_before() == kept
    sizes_mb = megabytes(artifact)
    sent_mb = sum(sizes_mb[len(objects) :])
    assert f": sent {sent_mb:.1f} MB, {sum(sizes_mb) - sent_mb:.1f} MB were there." in report()
    assert objects == {path: path.stat().st_mtime_ns for path in objects}


@pytest.mark.long
@pytest.mark.parametrize(
    ("kill", "objects"),
    [
        (Kill("depth.store.s3:S3Store.upload", "after"), 1),
        (Kill("depth.store.s3:S3Store.write", given="manifest.json"), 2),
    ],
    ids=["one object", "all but the manifest"],
)
def test_on_s3_a_killed_push_goes_on_with_what_is_missing(
    kill: Kill, objects: int, built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3_server.settings(monkeypatch)
    where, endpoint_url = s3_server.location(), s3_server.running().url
    shutil.copytree(built, ".", dirs_exist_ok=True)
    to_s3 = (*SPLIT, "--store", where, "--endpoint-url", endpoint_url)
    killed(to_s3, kill)
    assert stored(where, endpoint_url) == []
    assert not (job_folder() / "report.md").exists()

    assert command(*to_s3).code == 0
    artifact = only_artifact()
    assert stored(where, endpoint_url) == [artifact.identity]
    sizes_mb = megabytes(artifact)
    sent_mb = sum(sizes_mb[objects:])
    assert f": sent {sent_mb:.1f} MB, {sum(sizes_mb) - sent_mb:.1f} MB were there." in report()


@pytest.fixture(name="hub")
def hub_fixture(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[tuple[hub_mirror.Hub, str]]:
    """A hub that has the weights of a tiny model, and what makes another process know it."""
    torch.save(weights(TINY), tmp_path / "tiny.pth")
    data = (tmp_path / "tiny.pth").read_bytes()
    (tmp_path / "tiny.pth").unlink()
    file = replace(hub_mirror.FILE, sha256=sha256_bytes(data), size_bytes=len(data))
    monkeypatch.setattr(hub_mirror, "WEIGHTS", data)
    monkeypatch.setattr(hub_mirror, "SHA256", file.sha256)
    monkeypatch.setattr(hub_mirror, "FILE", file)
    monkeypatch.setitem(MODELS, "tiny", model_row("tiny", TINY))
    monkeypatch.setitem(published_files(), "tiny", file)
    server = hub_mirror.Hub()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}/")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "home/hub"))
    yield (
        server,
        (
            "from depth_anything_v2.config import *\n"
            "from depth.weights.registry import *\n"
            f"MODELS['tiny'] = model_row('tiny', {TINY})\n"
            f"published_files()['tiny'] = {file}\n"
        ),
    )
    reset_sessions()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.long
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_job_continues_a_killed_download(hub: tuple[hub_mirror.Hub, str], when: str) -> None:
    server, known = hub
    words = [word for word in JOB if word not in ("--checkpoint", "weights.safetensors")]
    killed([*words, "--model", "tiny"], Kill("depth.weights.download:_mismatch", when), known)
    assert [path.name for path in Path("checkpoints").iterdir()] == [".tiny.pth.partial"]

    assert command(*words, "--model", "tiny").code == 0
    assert [path.name for path in Path("checkpoints").iterdir()] == ["tiny.pth"]
    assert [request for request in server.requests if request != "HEAD"] == ["GET"]
    assert only_artifact().manifest.checkpoint.file == "tiny.pth"
