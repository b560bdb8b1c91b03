"""What a folder job prints in a terminal, on a pipe, and with its results in a file."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from serve.folder.cli import shown
from serve.folder.manifest import MANIFEST
from serve.jobs.entry import DONE, FAILED, Entry, OnEntry, Report
from serve.jobs.screen import Pace
from serve.jobs.stop import Stop
from tests.support.folder_jobs import write_images
from tests.support.places import ROOT

CLEAR_LINE = "\x1b[2K"


class Stream(io.StringIO):
    def __init__(self, terminal: bool) -> None:
        super().__init__()
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


def work(on_entry: OnEntry) -> Report:
    report = Report(2)
    entries = [
        Entry("a[b].jpg", DONE, outputs={"a[b].png": 7, "a[b].json": 9}),
        Entry("c.jpg", FAILED, reason="torn"),
    ]
    for entry in entries:
        on_entry(entry, len(entries))
        report.counts[entry.status] += 1
    return report


def printed(monkeypatch: pytest.MonkeyPatch, out: bool, err: bool) -> tuple[str, str]:
    """What stands on stdout and stderr, which are terminals or not."""
    streams = Stream(out), Stream(err)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stdout", streams[0])
    monkeypatch.setattr(sys, "stderr", streams[1])
    shown(Path("out"), Stop(), work)
    return streams[0].getvalue(), streams[1].getvalue()


def test_in_a_terminal_lines_stand_above_the_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    out, err = printed(monkeypatch, out=True, err=True)
    assert out == ""
    assert f"{CLEAR_LINE}out/a[b].png\n" in err
    assert f"{CLEAR_LINE}failed: c.jpg: torn\n" in err
    assert "2/2" in err
    assert re.search(r"1 done, 1 failed in \d\.\d s\n$", err)


def test_results_go_into_a_file_below_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    out, err = printed(monkeypatch, out=False, err=True)
    assert out == "out/a[b].png\n"
    assert "2/2" in err
    assert "a[b].png" not in err


def test_a_log_gets_no_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    out, err = printed(monkeypatch, out=False, err=False)
    assert out == "out/a[b].png\n"
    assert re.fullmatch(r"failed: c\.jpg: torn\n1 done, 1 failed in \d\.\d s\n", err)


def test_with_stderr_closed_results_are_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    out = Stream(terminal=False)
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", None)
    shown(Path("out"), Stop(), work)
    assert out.getvalue() == "out/a[b].png\n"


_JOB = """
from pathlib import Path
from depth.command import command_line, guarded
from serve.folder.cli import run
from serve.folder.request import FolderJob
from serve.jobs.screen import Pace
from serve.jobs.stop import Stop
from tests.support.folder_jobs import make_engine
import logging, typer
app = command_line()
@app.command()
def job(images: Path, out: Path) -> None:
    with make_engine() as engine:
        code = run(engine, FolderJob(images, out), Stop())
    logging.getLogger("a").warning("after")
    raise typer.Exit(code)
guarded(app, "job")
"""


@pytest.mark.parametrize("broken", [">/dev/full", "2>/dev/full", ">/dev/full 2>&1", "| exit 0"])
def test_a_stream_that_takes_nothing_loses_no_image(tmp_path: Path, broken: str) -> None:
    write_images(tmp_path / "in", 12)
    images, out = tmp_path / "in", tmp_path / "out"
    shell = f'{{ "$@"; echo $? >"$0"; }} {broken}'
    command = [sys.executable, "-c", _JOB, str(images), str(out)]
    done = subprocess.run(
        ["sh", "-c", shell, str(tmp_path / "code"), *command],
        cwd=ROOT,
        capture_output=True,
        check=False,
        text=True,
    )
    assert (tmp_path / "code").read_text() == "0\n", done.stderr
    lines = (out / MANIFEST).read_text().splitlines()
    assert [json.loads(line)["status"] for line in lines] == ["done"] * 12
    assert ("not every path was printed" in done.stderr) == ("2>" not in broken)
    assert ("12 done in" in done.stderr) == ("2>" not in broken)
    assert done.stdout.count(".png\n") == (12 if broken.startswith("2>") else 0)


def test_names_with_control_characters_are_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    def odd(on_entry: OnEntry) -> Report:
        on_entry(Entry("a\n\x1b.jpg", DONE, outputs={"a\n\x1b.png": 7}), 2)
        on_entry(Entry("b\n\x1b.jpg", FAILED, reason="b\n\x1b.jpg: torn"), 2)
        return Report(2)

    streams = Stream(False), Stream(False)
    monkeypatch.setattr(sys, "stdout", streams[0])
    monkeypatch.setattr(sys, "stderr", streams[1])
    shown(Path("out"), Stop(), odd)
    assert streams[0].getvalue() == "out/a\\n\\x1b.png\n"
    assert streams[1].getvalue().startswith("failed: b\\n\\x1b.jpg: b\\n\\x1b.jpg: torn\n")


def test_pace_counts_from_the_first_image() -> None:
    pace = Pace()
    assert pace.text(left=10) == ""
    pace.worked(100.0)
    assert pace.text(left=10) == ""
    pace.worked(100.5)
    pace.worked(101.0)
    assert pace.text(left=7300) == "2.0 images/s, 1:00:50 left"
