"""Programs of OpenVINO that an earlier process has kept: the same bits, or compiled again."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from depth.artifact.manifest import Artifact
from depth.artifact.probe import probe_inputs
from depth.maps.result import FloatArray
from serve.backend import open_runtime
from serve.runtimes import openvino
from serve.runtimes.kept import folder as kept
from tests.support.opened import opens
from tests.support.places import ROOT
from tests.support.programs import make_artifact


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return make_artifact(tmp_path_factory.mktemp("openvino"))


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    kept._say.cache_clear()
    monkeypatch.setenv("DEPTH_PROGRAM_CACHE", str(tmp_path / "cache"))
    yield tmp_path / "cache"
    _wait()


def _wait() -> None:
    """For programs that are being kept."""
    for thread in threading.enumerate():
        if thread.name == "keep":
            thread.join()


def _run(artifact: Artifact, streams: int = 1) -> FloatArray:
    program = artifact.manifest.programs[0]
    runtime = open_runtime(artifact, (program,), streams)
    found = runtime.run(probe_inputs(artifact.manifest, program))["depth"]
    _wait()
    return found


def _entries(cache: Path) -> list[Path]:
    return sorted(cache.glob("*")) if cache.exists() else []


def _compilations(artifact: Artifact, streams: int = 1) -> tuple[int, FloatArray]:
    """How often the artifact's weights were read for a run, and the answer."""
    weights = artifact.folder / artifact.manifest.programs[0].files[1].path
    with opens() as counter:
        found = _run(artifact, streams)
    return counter.of(weights), found


def test_the_second_load_gives_the_same_bits_and_reads_no_weights(
    artifact: Artifact, cache: Path
) -> None:
    first, before = _compilations(artifact)
    (entry,) = _entries(cache)
    again, after = _compilations(artifact)
    assert (first, again) == (1, 0)
    np.testing.assert_array_equal(before, after)
    assert _entries(cache) == [entry]
    assert entry.stat().st_mode & 0o777 == 0o600


def test_nothing_is_kept_before_the_first_run(artifact: Artifact, cache: Path) -> None:
    open_runtime(artifact, artifact.manifest.programs[:1])
    _wait()
    assert _entries(cache) == []


def test_off_keeps_nothing(
    artifact: Artifact, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEPTH_PROGRAM_CACHE", "off")
    _run(artifact)
    assert _entries(cache) == []


@pytest.mark.parametrize("place", [0, 20, 200, -1])
def test_a_damaged_entry_is_compiled_and_kept_again(
    artifact: Artifact, cache: Path, place: int
) -> None:
    before = _run(artifact)
    (entry,) = _entries(cache)
    damaged = bytearray(entry.read_bytes())
    damaged[place] ^= 1
    entry.write_bytes(damaged)
    compiled, after = _compilations(artifact)
    assert compiled == 1
    np.testing.assert_array_equal(before, after)
    assert _compilations(artifact)[0] == 0


def test_an_entry_that_is_cut_short_is_compiled_again(artifact: Artifact, cache: Path) -> None:
    _run(artifact)
    (entry,) = _entries(cache)
    entry.write_bytes(entry.read_bytes()[:-1000])
    assert _compilations(artifact)[0] == 1


def test_what_openvino_does_not_take_is_compiled_again(
    artifact: Artifact, caplog: pytest.LogCaptureFixture
) -> None:
    program = artifact.manifest.programs[0]
    settings = {"INFERENCE_PRECISION_HINT": "f32", "NUM_STREAMS": 1}
    version = f"openvino {openvino.ov.get_version()}"
    entry = openvino.entry_of(artifact, program, version, settings)
    assert entry.write(b"no program of OpenVINO")
    with caplog.at_level(logging.INFO):
        compiled, _ = _compilations(artifact)
    assert compiled == 1
    assert "a prepared program is compiled again" in caplog.text
    assert _compilations(artifact)[0] == 0  # it took the place of the wrong entry


def test_another_version_of_openvino_compiles_again(
    artifact: Artifact, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _run(artifact)
    monkeypatch.setattr(openvino.ov, "get_version", lambda: "2099.1.0")
    assert _compilations(artifact)[0] == 1
    assert len(_entries(cache)) == 2


def test_another_number_of_streams_or_artifact_compiles_again(
    artifact: Artifact, cache: Path, tmp_path: Path
) -> None:
    _run(artifact)
    assert _compilations(artifact, streams=2)[0] == 1
    other = make_artifact(tmp_path / "other", seed=1)
    assert _compilations(other)[0] == 1
    assert len(_entries(cache)) == 3


def test_another_processor_compiles_again(
    artifact: Artifact, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _run(artifact)
    monkeypatch.setattr("serve.runtimes.kept.entry.fields_of", lambda _: {"flags": "avx2"})
    assert _compilations(artifact)[0] == 1
    assert len(_entries(cache)) == 2


def test_a_program_whose_import_answers_otherwise_is_not_kept(
    artifact: Artifact, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openvino.np, "array_equal", lambda *_: False)
    _run(artifact)
    assert _entries(cache) == []


def test_a_folder_that_others_can_write_is_said_once_and_the_program_runs(
    artifact: Artifact, cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cache.mkdir()
    cache.chmod(0o777)
    first, before = _compilations(artifact)
    again, after = _compilations(artifact)
    assert (first, again) == (1, 1)
    np.testing.assert_array_equal(before, after)
    assert _entries(cache) == []
    assert len([each for each in caplog.messages if "not kept" in each]) == 1


def test_two_processes_at_once_keep_one_entry(artifact: Artifact, cache: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from depth.artifact.manifest import read_artifact\n"
        "from depth.artifact.probe import probe_inputs\n"
        "from serve.backend import open_runtime\n"
        "a = read_artifact(Path(sys.argv[1])); p = a.manifest.programs[0]\n"
        "found = open_runtime(a, (p,)).run(probe_inputs(a.manifest, p))['depth']\n"
        "sys.stdout.buffer.write(found.tobytes())"
    )
    words = [sys.executable, "-c", code, str(artifact.folder)]
    both = [subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE) for _ in range(2)]
    answers = [process.communicate(timeout=60)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert answers[0] == answers[1]
    assert len(_entries(cache)) == 1
    compiled, found = _compilations(artifact)
    assert compiled == 0
    assert found.tobytes() == answers[0]
