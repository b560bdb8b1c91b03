"""Artifacts made on demand: found if they fit, ignored if not, built if they are missing."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from safetensors.torch import save_file

from compile.errors import BuildError
from compile.on_demand import Cache, run_until
from compile.untrained import untrained_checkpoint
from compile.weights import BUNDLED, Weights
from depth.artifact.manifest import Artifact, CheckpointFacts, Gate, read_artifact
from depth.files import sha256_file
from depth.weights.checkpoint import read_checkpoint
from tests.support.networks import DEMO, SIZE, build_demo, rewrite
from tests.support.on_demand import compile_in_this_process

WEIGHTS = Weights("demo", BUNDLED)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    checkpoint = read_checkpoint(BUNDLED)
    return build_demo(tmp_path_factory.mktemp("built"), "torchscript", checkpoint=checkpoint)


@pytest.fixture
def copied(built: Artifact, tmp_path: Path) -> Artifact:
    return read_artifact(shutil.copytree(built.folder, tmp_path / "kept" / built.folder.name))


def cache_of(artifact: Artifact) -> Cache:
    folder = artifact.folder.parent
    return Cache(folder, WEIGHTS, "torchscript", "fp32", folder / "no-images")


def found(cache: Cache) -> list[str]:
    return [artifact.folder.name for artifact in cache.artifacts()]


def test_an_artifact_that_fits_is_found(copied: Artifact) -> None:
    assert found(cache_of(copied)) == [copied.folder.name]


def test_an_empty_and_a_missing_folder_have_none(tmp_path: Path) -> None:
    cache = Cache(tmp_path, WEIGHTS, "torchscript", "fp32", tmp_path)
    assert found(cache) == []
    assert found(replace(cache, folder=tmp_path / "nothing")) == []


@pytest.mark.parametrize(
    "other",
    [
        {"target": "openvino"},
        {"target": "openvino", "precision": "bf16"},
        {"weights": Weights("vits", BUNDLED)},
        {"weights": Weights("demo", Path(__file__))},
    ],
    ids=["target", "precision", "model", "weights"],
)
def test_an_artifact_of_another_job_is_ignored(copied: Artifact, other: dict[str, object]) -> None:
    assert found(replace(cache_of(copied), **other)) == []  # type: ignore[arg-type]


def test_an_artifact_of_other_code_is_ignored(copied: Artifact) -> None:
    versions = {**copied.manifest.versions, "source_sha256": "0" * 64}
    rewrite(copied, versions=versions)
    assert found(cache_of(copied)) == []


def test_an_artifact_that_failed_parity_is_ignored(copied: Artifact) -> None:
    rewrite(copied, gate=Gate({"depth": {"max_rel": 1e-9, "mean_rel": 1e-9}}, passed=False))
    assert found(cache_of(copied)) == []


def test_weights_are_compared_by_their_bytes(copied: Artifact, tmp_path: Path) -> None:
    weights = tmp_path / "mine.pth"
    weights.write_bytes(b"weights")
    cache = replace(cache_of(copied), weights=Weights("demo", weights))
    facts = CheckpointFacts("mine.pth", sha256_file(weights), "unknown")
    mine = rewrite(copied, checkpoint=facts)
    assert found(cache) == [mine.folder.name]
    weights.write_bytes(b"other weights")
    assert found(cache) == []


def test_a_damaged_artifact_is_ignored_with_a_warning(
    copied: Artifact, caplog: pytest.LogCaptureFixture
) -> None:
    whole = shutil.copytree(copied.folder, f"{copied.folder}-whole")
    shutil.rmtree(copied.folder / "programs")
    (copied.folder.parent / "demo-torchscript-file").touch()
    with caplog.at_level(logging.WARNING):
        assert found(cache_of(copied)) == [Path(whole).name]
    assert "missing; compile or copy the artifact again" in caplog.text


def test_an_artifact_with_an_edited_manifest_is_ignored_with_a_warning(
    copied: Artifact, caplog: pytest.LogCaptureFixture
) -> None:
    path = copied.folder / "manifest.json"
    path.write_text(path.read_text().replace("Apache-2.0", "MIT"))
    with caplog.at_level(logging.WARNING):
        assert found(cache_of(copied)) == []
    assert "the manifest was altered, or this is another artifact" in caplog.text


@pytest.mark.long
def test_missing_sizes_are_built_in_a_process_of_their_own(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # the compiler is found from anywhere
    for foreign in ("random.py", "compile.py", "json.py"):
        (tmp_path / foreign).write_text("raise ImportError('of the working directory')")
    weights = tmp_path / "mine.safetensors"
    save_file(untrained_checkpoint(DEMO, seed=2).state, weights)
    cache = Cache(Path("kept"), Weights("demo", weights), "torchscript", "fp32", Path("images"))
    (artifact,) = cache.build([(28, 42), SIZE])
    assert [program.size for program in artifact.manifest.programs] == [(28, 42), SIZE]
    assert artifact.manifest.checkpoint.sha256 == sha256_file(weights)
    assert found(cache) == [artifact.folder.name]
    assert found(replace(cache, weights=WEIGHTS)) == []
    out, err = capfd.readouterr()
    assert out == ""
    assert "preparing the network for images of 3:2, 28x42 px" in err


def test_a_build_that_fails_is_an_error_and_leaves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    compile_in_this_process(monkeypatch)
    weights = tmp_path / "bad.pth"
    weights.write_bytes(b"no weights")
    kept = tmp_path / "kept"
    cache = Cache(kept, Weights("demo", weights), "torchscript", "fp32", tmp_path / "no-images")
    with pytest.raises(BuildError, match="could not compile demo for torchscript; see above"):
        list(cache.build([SIZE]))
    assert "bad.pth: not a PyTorch ZIP checkpoint" in capsys.readouterr().err
    assert not kept.exists()


def test_nothing_is_built_before_it_is_asked_for(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "kept", WEIGHTS, "torchscript", "fp32", tmp_path)
    cache.build([(14, 14 * i) for i in range(1, 10)])
    assert not (tmp_path / "kept").exists()
    assert list(cache.build([])) == []


def test_the_oldest_comes_first(copied: Artifact) -> None:
    """Results name it: one with another identity would have them all made again."""
    newer = copied.folder.with_name(f"{WEIGHTS.model}-torchscript-0")
    shutil.copytree(copied.folder, newer)
    for seconds, folder in enumerate((copied.folder, newer)):
        os.utime(folder / "manifest.json", (seconds, seconds))
    assert found(cache_of(copied)) == [copied.folder.name, newer.name]
    os.utime(newer / "manifest.json", (-1, -1))
    assert found(cache_of(copied)) == [newer.name, copied.folder.name]


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGKILL])
def test_a_stop_ends_the_compiler(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: signal.Signals
) -> None:
    """By SIGTERM; by SIGKILL if the compiler ignores that."""
    monkeypatch.setattr("compile.on_demand.GRACE_S", 0.2)
    ignore = "signal.signal(signal.SIGTERM, signal.SIG_IGN)" if ending == signal.SIGKILL else ""
    code = f"import signal, sys, time\n{ignore}\nopen(sys.argv[1], 'w')\ntime.sleep(60)"
    begun, started = tmp_path / "begun", time.monotonic()
    command = [sys.executable, "-c", code, str(begun)]
    assert run_until(begun.exists, command, os.environ) == (-ending, "")
    assert time.monotonic() - started < 30


def test_a_command_that_nothing_stops_gives_its_code_and_output() -> None:
    command = [sys.executable, "-c", "print('done'); raise SystemExit(3)"]
    assert run_until(lambda: False, command, os.environ) == (3, "done\n")


def test_a_build_that_fails_leaves_no_empty_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = tmp_path / "kept"

    def fails(*_: object) -> tuple[int, str]:
        kept.mkdir(exist_ok=True)  # and parity fails
        return 1, ""

    monkeypatch.setattr("compile.on_demand.run_until", fails)
    cache = Cache(kept, WEIGHTS, "torchscript", "fp32", tmp_path)
    with pytest.raises(BuildError):
        list(cache.build([SIZE]))
    assert not kept.exists()
    kept.mkdir()
    with pytest.raises(BuildError):
        list(cache.build([SIZE]))
    assert kept.exists(), "the user made it"


def test_a_stopped_build_gives_no_artifact(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "kept", WEIGHTS, "torchscript", "fp32", tmp_path, lambda: True)
    assert list(cache.build([SIZE])) == []
    assert not (tmp_path / "kept").exists()
