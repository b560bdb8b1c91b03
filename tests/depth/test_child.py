"""Processes of our own: whose code they run, and that they end with their parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from depth.child import child_command, child_environment, lifeline
from tests.support.places import ROOT
from tests.support.processes import until

FOREIGN = "open('ran', 'w'); raise ImportError('of the working directory')"
PARENT = """
import subprocess, sys
from depth.child import child_command, child_environment, lifeline
with lifeline() as line:
    subprocess.Popen(child_command("sleeper"), stdin=line, env=child_environment()).wait()
"""
SLEEPER = """
import os, signal, sys, time
if {deaf}: signal.signal(signal.SIGTERM, signal.SIG_IGN)
with open("part", "w") as file: file.write(str(os.getpid()))
os.replace("part", "pid")
time.sleep(60)
"""


@pytest.mark.parametrize("foreign", ["random.py", "compile/__init__.py", "depth/__init__.py"])
def test_code_of_the_working_directory_does_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, foreign: str
) -> None:
    (tmp_path / foreign).parent.mkdir(exist_ok=True)
    (tmp_path / foreign).write_text(FOREIGN)
    monkeypatch.setenv("PYTHONPATH", f"{os.pathsep}{ROOT}")  # the empty part is that directory
    subject = Path(foreign).parts[0].partition(".")[0]
    usual = [sys.executable, "-c", f"import {subject}"]
    assert subprocess.run(usual, cwd=tmp_path, stderr=subprocess.DEVNULL, check=False).returncode
    (tmp_path / "ran").unlink()
    with lifeline() as line:
        done = subprocess.run(
            child_command("compile", "plan", "--help"),
            cwd=tmp_path,
            env=child_environment(),
            stdin=line,
            capture_output=True,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stderr) == (0, "")
    assert "Usage: python -m compile plan" in done.stdout
    assert not (tmp_path / "ran").exists()


def gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return True
    return state == "Z"  # ended, but nobody has collected its exit code


@pytest.mark.parametrize("deaf", [False, True], ids=["SIGTERM", "SIGKILL"])
def test_a_child_ends_with_its_parent(tmp_path: Path, deaf: bool) -> None:
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "sleeper.py").write_text(SLEEPER.format(deaf=deaf))
    path = os.pathsep.join([str(ROOT), str(tmp_path / "modules")])
    command, environment = [sys.executable, "-c", PARENT], {**os.environ, "PYTHONPATH": path}
    with subprocess.Popen(command, cwd=tmp_path, env=environment) as parent:
        assert until((tmp_path / "pid").exists, 30)
        pid = int((tmp_path / "pid").read_text())
        try:
            assert not gone(pid)
            parent.kill()
            assert until(lambda: gone(pid), 30)
        finally:
            if not gone(pid):
                os.kill(pid, signal.SIGKILL)
