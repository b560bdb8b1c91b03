"""Ending a folder job early: by signals, and by SIGKILL at any moment."""

from __future__ import annotations

import json
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest

from depth.artifact.manifest import Artifact
from depth.artifact.program import ProgramKey
from serve.engine import Engine
from serve.folder.job import run_folder
from serve.folder.manifest import MANIFEST
from serve.folder.request import FolderJob
from serve.jobs.entry import Entry, Report
from serve.jobs.stop import Stop, stop_on_signals
from serve.library import Library
from tests.support.folder_jobs import make_engine, write_images
from tests.support.folder_kills import Toll, complete, look, outputs
from tests.support.manifests import LOWER_28, made_artifact, made_manifest
from tests.support.processes import start, wait_for


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_finishes_what_runs_and_says_what_is_left(
    tmp_path: Path, number: signal.Signals
) -> None:
    write_images(tmp_path / "in", 40)
    job = start(tmp_path, "-m", "tests.support.folder_jobs", tmp_path / "in", tmp_path / "out", 0.2)
    wait_for(job, tmp_path / "stdout")
    job.send_signal(number)
    job.wait(timeout=60)
    said = (tmp_path / "stderr").read_text()
    assert job.returncode == 3, said
    printed = (tmp_path / "stdout").read_text().splitlines()
    assert 0 < len(printed) < 40
    assert all(Path(line).exists() for line in printed)
    assert f"{number.name}: finishing" in said
    assert f"{len(printed)} done, {40 - len(printed)} left after {number.name}" in said
    assert "run the same command again for the rest" in said
    lines = (tmp_path / "out" / MANIFEST).read_text().splitlines()
    assert [json.loads(line)["status"] for line in lines] == ["done"] * len(printed)
    assert not list((tmp_path / "out").rglob("*.tmp"))
    report = run_folder(make_engine(), FolderJob(tmp_path / "in", tmp_path / "out"))
    assert dict(report.counts) == {"kept": len(printed), "done": 40 - len(printed)}


def test_a_second_signal_ends_at_once(tmp_path: Path) -> None:
    write_images(tmp_path / "in", 4)
    (tmp_path / "in/broken.png").touch()
    job = start(tmp_path, "-m", "tests.support.folder_jobs", tmp_path / "in", tmp_path / "out", 30)
    wait_for(job, tmp_path / "out" / MANIFEST)
    (tmp_path / "stderr").write_text("")
    job.send_signal(signal.SIGTERM)
    wait_for(job, tmp_path / "stderr")
    job.send_signal(signal.SIGTERM)
    job.wait(timeout=20)
    assert job.returncode == -signal.SIGTERM


@pytest.mark.long
def test_sigkill_at_random_moments_loses_nothing(tmp_path: Path) -> None:
    job = start(tmp_path, "-m", "tests.support.folder_kills", tmp_path, 100, 10)
    assert job.wait(timeout=300) == 0, (tmp_path / "stderr").read_text()
    toll = json.loads((tmp_path / "stdout").read_text())
    assert (toll["right"], toll["recorded"]) == (100, 100)
    assert (toll["wrong"], toll["recomputed"]) == (0, 0)
    assert toll["kills"] >= 10
    assert toll["kept_by_reruns"] > 0, "no kill left anything to keep: the test saw nothing"


def test_the_toll_counts_what_is_redone_and_what_is_wrong(tmp_path: Path) -> None:
    """The failing side of the test above."""
    write_images(tmp_path / "in", 3)
    out = tmp_path / "out"
    run_folder(make_engine(), FolderJob(tmp_path / "in", out))
    right, before, toll = outputs(out), complete(out), Toll(3)
    look(out, right, before, toll)
    assert (toll.wrong, toll.recomputed, toll.torn_lines) == (0, 0, 0)
    (out / "0/0000.json").unlink()
    run_folder(make_engine(), FolderJob(tmp_path / "in", out))
    (out / "0/0002.png").write_bytes(b"other")
    (out / MANIFEST).write_bytes(b"torn")
    look(out, right, before, toll)
    assert (toll.wrong, toll.recomputed, toll.torn_lines) == (1, 1, 1)


def stopped_while_building(images: Path, more: Sequence[Artifact]) -> tuple[Report, list[Entry]]:
    """A job that is stopped while its only program is built; the builder gives `more`."""
    write_images(images, 1)
    stop, entries = Stop(), list[Entry]()

    def build(_sizes: object) -> Sequence[Artifact]:
        stop.request("SIGTERM")
        return more

    with Engine(Library([], build), size_rule=LOWER_28) as engine:
        job = FolderJob(images, images / "out")
        report = run_folder(engine, job, lambda entry, _: entries.append(entry), stop)
    return report, entries


@pytest.mark.parametrize("built", [True, False])
def test_a_stop_while_programs_are_built_leaves_the_images(tmp_path: Path, built: bool) -> None:
    made = made_artifact(made_manifest([ProgramKey(28, 42, 1)]))
    report, entries = stopped_while_building(tmp_path, [made] if built else [])
    assert (report.left, report.stopped, report.exit_code) == (1, "SIGTERM", 3)
    assert entries == []
    assert [path.name for path in (tmp_path / "out").iterdir()] == [MANIFEST]


def test_a_stop_before_the_plan_looks_at_nothing(tmp_path: Path) -> None:
    stop = Stop()
    stop.request("SIGINT")
    write_images(tmp_path / "in", 5)
    report = run_folder(make_engine(), FolderJob(tmp_path / "in", tmp_path / "out"), stop=stop)
    assert (report.left, report.stopped, report.exit_code) == (5, "SIGINT", 3)


def test_the_handlers_that_were_there_return() -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    stop = Stop()
    with stop_on_signals(stop):
        signal.raise_signal(signal.SIGTERM)
        assert (stop.requested(), stop.reason) == (True, "SIGTERM")
        stop.request("later")
        assert stop.reason == "SIGTERM"
    assert before == (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT))
