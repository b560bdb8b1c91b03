"""What a folder job prints in a terminal, on a pipe, and with its results in a file."""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

import pytest

from serve.folder.cli import Pace, shown
from serve.jobs.entry import DONE, FAILED, Entry, OnEntry, Report
from serve.jobs.stop import Stop

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


def test_pace_counts_from_the_first_image() -> None:
    pace = Pace()
    assert pace.text(left=10) == ""
    pace.worked(100.0)
    assert pace.text(left=10) == ""
    pace.worked(100.5)
    pace.worked(101.0)
    assert pace.text(left=7300) == "2.0 images/s, 1:00:50 left"
