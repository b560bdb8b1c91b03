"""Trials: each has its limit and its folder, and none of them stops the next."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from depth.command import ends_on_sigterm
from depth_anything.first_run import runner
from depth_anything.first_run.runner import run_trials
from depth_anything.first_run.trial import (
    ARTIFACT,
    FAILED,
    FOLDER,
    PASSED,
    STOPPED,
    TIMED_OUT,
    Trial,
    Tried,
    read_all,
    write_tried,
)

pytestmark = pytest.mark.long  # processes and whole builds


@pytest.fixture(autouse=True)
def no_cache_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The compiler's work folders, which are empty at first."""
    monkeypatch.setattr(runner, "default_folder", lambda: tmp_path / "cache")
    return tmp_path / "cache" / "work"


def trial(name: str, *codes: str, limit_s: float = 30.0, **more: object) -> Trial:
    """A trial whose commands are pieces of Python."""
    commands = tuple(("-c", code) for code in codes)
    return Trial(name, "a test", limit_s, commands, **more)  # type: ignore[arg-type]


def run(trials: Sequence[Trial], folder: Path, only: Sequence[str] = ()) -> list[Tried]:
    return run_trials(trials, "compile", folder, lambda _: None, only)


def test_a_trial_that_fails_does_not_stop_the_next(tmp_path: Path) -> None:
    bad = trial("bad", "import sys; print('half'); sys.exit('it broke\\nbecause of this')")
    good = trial("good", "print('{\"rate\": 3}')")
    found = run([bad, good], tmp_path)
    assert [row.state for row in found] == [FAILED, PASSED]
    assert [row.why for row in found] == ["because of this", ""]
    assert found[1].facts == {"rate": 3}
    assert read_all(tmp_path) == found
    assert (tmp_path / "compile/01-bad/command-1.out").read_text() == "half\n"


def test_the_first_command_that_fails_ends_the_trial(tmp_path: Path) -> None:
    made = tmp_path / "made"
    touch = f"import pathlib; pathlib.Path({str(made)!r}).touch()"
    (found,) = run([trial("two", "raise SystemExit(1)", touch)], tmp_path / "out")
    assert (found.state, found.why) == (FAILED, "it said nothing")
    assert not made.exists()


def test_a_trial_ends_at_its_limit_with_all_that_it_started(tmp_path: Path) -> None:
    number = tmp_path / "number"
    child = (
        "import subprocess, sys, time; p = subprocess.Popen([sys.executable, '-c', "
        f"'import time; time.sleep(60)']); open({str(number)!r}, 'w').write(str(p.pid)); "
        "time.sleep(60)"
    )
    (found,) = run([trial("slow", child, limit_s=2.0)], tmp_path / "out")
    assert (found.state, found.why) == (TIMED_OUT, "not done after 2 s")
    assert not _runs(int(number.read_text()))


def test_what_a_passed_command_leaves_running_is_ended(tmp_path: Path) -> None:
    number = tmp_path / "number"
    code = (
        "import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', "
        f"'import time; time.sleep(60)']); open({str(number)!r}, 'w').write(str(p.pid))"
    )
    (found,) = run([trial("parent", code)], tmp_path / "out")
    assert found.state == PASSED
    assert not _runs(int(number.read_text()))


def test_the_limit_is_of_all_commands_together(tmp_path: Path) -> None:
    wait = "import time; time.sleep(1.2)"
    (found,) = run([trial("two", wait, wait, limit_s=2.0)], tmp_path)
    assert found.state == TIMED_OUT
    assert found.duration_s < 3.5


def test_a_rerun_repeats_what_has_not_passed(tmp_path: Path) -> None:
    count = tmp_path / "count"
    code = f"open({str(count)!r}, 'a').write('x')"
    both = [trial("good", code), trial("bad", f"{code}; raise SystemExit('no')")]
    out = tmp_path / "out"
    run(both, out)
    run(both, out)
    assert count.read_text() == "xxx"
    run([trial("good", f"{code} # another command"), both[1]], out)
    assert count.read_text() == "xxxxx"
    found = run(both, out, ["good"])
    assert count.read_text() == "xxxxxx", "only the named trial, although it has passed"
    assert [row.name for row in found] == ["good", "bad"]


def test_a_result_that_is_cut_off_counts_as_none(tmp_path: Path) -> None:
    rows = [trial("good", "pass")]
    run(rows, tmp_path)
    path = tmp_path / "compile/01-good/result.json"
    path.write_text(path.read_text()[:-20])
    assert read_all(tmp_path) == []
    assert [row.state for row in run(rows, tmp_path)] == [PASSED]


def test_a_signal_ends_the_run_and_keeps_what_there_is(tmp_path: Path) -> None:
    def interrupt() -> None:
        time.sleep(1.0)
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=interrupt)
    with ends_on_sigterm():
        thread.start()
        found = run([trial("long", "import time; time.sleep(60)"), trial("next", "pass")], tmp_path)
        thread.join()
    assert [(row.name, row.state) for row in found] == [("long", STOPPED)]
    assert read_all(tmp_path) == found


def test_a_trial_that_was_stopped_before_is_no_end(tmp_path: Path) -> None:
    rows = [trial("first", "pass"), trial("second", "pass")]
    (first,) = run(rows[:1], tmp_path)
    write_tried(tmp_path / "compile/01-first", replace(first, state=STOPPED))
    assert [row.state for row in run(rows, tmp_path, ["second"])] == [STOPPED, PASSED]
    assert [row.state for row in run(rows, tmp_path)] == [PASSED, PASSED]


def test_words_in_braces_are_filled_in(tmp_path: Path) -> None:
    write = "import sys; open(sys.argv[1] + '/seen', 'w').write(sys.argv[2])"
    commands = (("-c", "print('made here')"), ("-c", write, FOLDER, f"<{ARTIFACT}>"))
    run([Trial("fill", "a test", 30.0, commands)], tmp_path)
    assert (tmp_path / "compile/01-fill/seen").read_text() == "<made here>"


def test_files_and_the_compiler_s_new_logs_are_kept(
    tmp_path: Path, no_cache_of_the_user: Path
) -> None:
    asked = tmp_path / "asked.json"
    old = no_cache_of_the_user / "before" / "trace.log"
    old.parent.mkdir(parents=True)
    old.write_text("of another run")
    os.utime(old, (1, 1))
    code = (
        f"import pathlib; pathlib.Path({str(asked)!r}).write_text('1'); "
        f"w = pathlib.Path({str(no_cache_of_the_user)!r}) / 'now'; w.mkdir(); "
        "(w / 'trace.log').write_text('new'); (w / 'big.log').write_bytes(bytes(5 << 20)); "
        "(w / 'graph_def.pb').write_text('weights')"
    )
    run([trial("logs", code, keep=(str(asked), str(tmp_path / "absent")))], tmp_path / "out")
    folder = tmp_path / "out/compile/01-logs"
    assert (folder / "asked.json").read_text() == "1"
    kept = [str(p.relative_to(folder)) for p in (folder / "compiler").rglob("*") if p.is_file()]
    assert kept == ["compiler/now/trace.log"]


def test_the_monitor_runs_beside_a_trial_and_ends_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = tmp_path / "neuron-monitor"
    tool.write_text("#!/bin/sh\necho $$\nexec sleep 60\n")
    tool.chmod(0o755)
    monkeypatch.setattr(runner, "TOOLS", tmp_path)
    wait = "import time; time.sleep(0.5)"
    run([trial("beside", wait, monitored=True), trial("without", wait)], tmp_path / "out")
    lines = tmp_path / "out/compile/01-beside/neuron-monitor.jsonl"
    assert not _runs(int(lines.read_text()))
    assert not (tmp_path / "out/compile/02-without/neuron-monitor.jsonl").exists()


def test_variables_are_those_of_the_user_and_of_the_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OF_USER", "1")
    code = "import os, json; print(json.dumps([os.environ['OF_USER'], os.environ['OF_TRIAL']]))"
    run([trial("variables", code, environment={"OF_TRIAL": "2"})], tmp_path)
    assert (tmp_path / "compile/01-variables/command-1.out").read_text() == '["1", "2"]\n'


def _runs(number: int) -> bool:
    """Whether a process is still alive after a moment: a signal takes effect a little later."""
    for _ in range(50):
        if not _alive(number):
            return False
        time.sleep(0.1)
    return True


def _alive(number: int) -> bool:
    """A process that has ended may wait for its parent to ask."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
