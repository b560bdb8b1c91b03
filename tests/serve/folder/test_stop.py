"""Ending a folder job early: by signals, and by SIGKILL at any moment."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from depth.images.file import ImageFile
from depth.images.header import ImageHeader
from depth.sizes import Size
from serve.engine import Raw
from serve.folder.job import run_folder
from serve.folder.manifest import MANIFEST
from serve.folder.pace import Pace
from serve.folder.request import FolderJob
from serve.jobs.batch import Batch, Task, Written
from serve.jobs.stop import Stop, Stopped, stop_on_signals
from serve.library import Library
from tests.support.folder_jobs import make_engine, write_images
from tests.support.folder_kills import Toll, complete, look, outputs
from tests.support.places import ROOT


def python(place: Path, *arguments: object) -> subprocess.Popen[str]:
    """A process that writes into the files `stdout` and `stderr` in `place`."""
    with (place / "stdout").open("w") as stdout, (place / "stderr").open("w") as stderr:
        return subprocess.Popen(
            [sys.executable, *map(str, arguments)],
            cwd=ROOT,
            stdout=stdout,
            stderr=stderr,
            text=True,
        )


def wait_for(job: subprocess.Popen[str], path: Path) -> None:
    """Until there is something in a file."""
    while not (path.exists() and path.stat().st_size):
        assert job.poll() is None
        time.sleep(0.01)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_finishes_what_runs_and_says_what_is_left(
    tmp_path: Path, number: signal.Signals
) -> None:
    write_images(tmp_path / "in", 40)
    job = python(
        tmp_path, "-m", "tests.support.folder_jobs", tmp_path / "in", tmp_path / "out", 0.2
    )
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
    job = python(tmp_path, "-m", "tests.support.folder_jobs", tmp_path / "in", tmp_path / "out", 30)
    wait_for(job, tmp_path / "out" / MANIFEST)
    (tmp_path / "stderr").write_text("")
    job.send_signal(signal.SIGTERM)
    wait_for(job, tmp_path / "stderr")
    job.send_signal(signal.SIGTERM)
    job.wait(timeout=20)
    assert job.returncode == -signal.SIGTERM


def test_sigkill_at_random_moments_loses_nothing(tmp_path: Path) -> None:
    job = python(tmp_path, "-m", "tests.support.folder_kills", tmp_path, 100, 10)
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


class Building(Library):
    """A library that is asked for programs while the stop comes."""

    def __init__(self, stop: Stop) -> None:
        super().__init__([])
        self._stop = stop
        self.went_on = False

    def prepare(self, _sizes: object) -> None:
        self._stop.request("SIGTERM")
        self.went_on = True


class AskedFor:
    """Outputs that do not exist."""

    def look(self, _task: Task, _file: ImageFile, _size: Size) -> str:
        return "asked for"

    def write(self, _task: Task, _raw: Raw) -> Written:
        return Written({}, None)

    def settings(self, _header: ImageHeader, _size: Size) -> None:
        return None


def test_a_stop_cuts_off_the_making_of_programs(tmp_path: Path) -> None:
    write_images(tmp_path, 1)
    engine, stop = make_engine(), Stop()
    engine.library = Building(stop)
    engine.size_for = lambda *_: (28, 42)  # type: ignore[method-assign]
    batch = Batch(engine, [Task(tmp_path / "0/0000.png", "a", tmp_path / "a")], AskedFor(), stop)
    assert list(batch.run()) == []
    assert not engine.library.went_on
    assert (batch.report.left, batch.report.stopped, batch.report.exit_code) == (1, "SIGTERM", 3)


def test_a_stop_before_the_plan_looks_at_nothing(tmp_path: Path) -> None:
    stop = Stop()
    stop.request("SIGINT")
    write_images(tmp_path / "in", 5)
    report = run_folder(make_engine(), FolderJob(tmp_path / "in", tmp_path / "out"), stop=stop)
    assert (report.left, report.stopped, report.exit_code) == (5, "SIGINT", 3)
    with pytest.raises(Stopped), stop.interrupts():
        pytest.fail("the work began")


def test_the_handlers_that_were_there_return() -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    with stop_on_signals() as stop:
        signal.raise_signal(signal.SIGTERM)
        assert (stop.requested(), stop.reason) == (True, "SIGTERM")
        stop.request("later")
        assert stop.reason == "SIGTERM"
    assert before == (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT))


def test_pace_counts_from_the_first_image() -> None:
    pace = Pace()
    assert pace.text(left=10) == ""
    pace.worked(100.0)
    assert pace.text(left=10) == ""
    pace.worked(100.5)
    pace.worked(101.0)
    assert pace.text(left=7300) == "2.0 images/s, 1:00:50 left"
