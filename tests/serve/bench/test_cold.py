"""Cold starts of `serve bench`: processes of their own, which hang nobody and outlive nobody."""

from __future__ import annotations

import os
import signal
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from depth.artifact.manifest import Artifact
from depth.artifact.program import ProgramKey
from serve.bench import cold
from serve.bench.cold import cold_start
from serve.errors import ProgramError
from tests.serve.bench.test_bench import SIZE, app
from tests.support.hostile import encoded, picture
from tests.support.manifests import made_manifest, made_program, written
from tests.support.programs import make_artifact


def test_a_cold_start_is_a_whole_process_with_its_own_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for foreign in ("random.py", "serve.py", "json.py"):
        (tmp_path / foreign).write_text("raise ImportError('of the working directory')")
    found = cold_start(make_artifact(tmp_path, sizes=[SIZE]), SIZE, 1)
    assert found.first_result_s > found.parts.load_s + found.parts.first_run_s
    assert 30e6 < found.peak_memory_bytes < 2e9


def damaged(folder: Path) -> Artifact:
    manifest = made_manifest([ProgramKey(*SIZE, 1)])
    programs = (made_program(ProgramKey(*SIZE, 1), files=2),)
    made = written(folder / "made", replace(manifest, programs=programs))
    path = made.folder / made.manifest.programs[0].files[1].path
    path.write_bytes(bytes(path.stat().st_size))
    return made


def begins_with(code: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on every new Python runs this first."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(code)
    path = os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])
    monkeypatch.setenv("PYTHONPATH", path)


def test_a_cold_start_that_fails_says_why(tmp_path: Path) -> None:
    with pytest.raises(ProgramError, match=r"ended with code 1: .*damaged or altered"):
        cold_start(damaged(tmp_path), SIZE, 1)


def test_a_runtime_that_says_more_than_a_pipe_holds_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = "import os, signal\nsignal.alarm(20)\n"  # in place of blocking for ever
    code += "os.write(2, b'a line of a log\\n' * 20_000)\nsignal.alarm(0)\n"
    begins_with(code, tmp_path / "site", monkeypatch)
    with pytest.raises(ProgramError, match=r"ended with code 1: .*damaged or altered"):
        cold_start(damaged(tmp_path), SIZE, 1)


def test_a_cold_start_does_not_outlive_its_benchmark(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[subprocess.Popen[str]] = []

    def interrupted(process: subprocess.Popen[str]) -> Any:
        started.append(process)
        raise KeyboardInterrupt

    begins_with("import time\ntime.sleep(20)\n", tmp_path / "site", monkeypatch)
    monkeypatch.setattr(cold, "_out", interrupted)
    with pytest.raises(KeyboardInterrupt):
        cold_start(damaged(tmp_path), SIZE, 1)
    assert started[0].poll() == -signal.SIGKILL


def test_sigterm_ends_a_benchmark_as_an_interruption_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def measure(*_: object) -> None:
        signal.raise_signal(signal.SIGTERM)
        raise ProgramError("went on")

    made = written(tmp_path / "made", made_manifest())
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.png").write_bytes(encoded(picture(), "PNG"))
    monkeypatch.setattr("serve.bench.run.measure", measure)
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        done = CliRunner().invoke(app, [str(made.folder), "--images", str(tmp_path / "images")])
    finally:
        signal.signal(signal.SIGTERM, before)
    assert done.exit_code == 128 + signal.SIGTERM
