"""Runs trials: each with its limit, its output kept, and none of them able to stop the next."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Callable, Optional

from compile.neuron.cache import default_folder
from depth.artifact.manifest import MANIFEST, REPORTS
from depth_anything.first_run.reading import facts_of
from depth_anything.first_run.trial import (
    ARTIFACT,
    FAILED,
    FOLDER,
    PASSED,
    STOPPED,
    TIMED_OUT,
    Trial,
    Tried,
    read_tried,
    write_tried,
)
from serve.runtimes.neuron_cores import TOOLS

_ROOT = Path(__file__).resolve().parents[2]
_GRACE_S = 15.0  # for commands to remove their files after SIGTERM
_END_BYTES = 200_000  # of what a command wrote
_MAX_KEPT_BYTES = 4 << 20  # of one file of the compiler
_BUILD = "build"  # the command that prints the folder of an artifact
_OF_COMPILER = ("*.out", "*.err", "*.log", "log-neuron-cc.txt", "all_metrics.csv")


def run_trials(
    trials: Iterable[Trial],
    role: str,
    results: Path,
    on_trial: Callable[[str], None],
    only: Sequence[str] = (),
) -> list[Tried]:
    """Run every trial that has not passed before: the results of all, old and new, in order.

    results  folder that receives ROLE/NUMBER-NAME/ for each trial
    only     names of the trials to run, whether they passed before or not; () for all
    A trial that was stopped with Ctrl-C or SIGTERM ends the run, with its result kept.
    """
    found = []
    for number, trial in enumerate(trials, 1):
        folder = results / role / f"{number:02}-{trial.name}"
        before = read_tried(folder)
        done = before is not None and before.passed and before.commands == trial.commands
        if trial.name in only or not (only or done):
            on_trial(f"{trial.name}: {trial.about}")
            found.append(_tried(trial, role, folder))
            if found[-1].state == STOPPED:
                break
        elif before is not None:
            found.append(before)
    return found


def _tried(trial: Trial, role: str, folder: Path) -> Tried:
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    began, wall = time.monotonic(), time.time()
    state, printed = PASSED, ""
    with _monitored(folder, trial.monitored):
        for number, command in enumerate(trial.commands):
            names = {ARTIFACT: printed, FOLDER: str(folder)}
            words = [_filled(word, names) for word in command]
            left_s = trial.limit_s - (time.monotonic() - began)
            state = _ended(words, trial, folder / f"command-{number + 1}", left_s)
            printed = _last_line(folder / f"command-{number + 1}.out") or printed
            if state != PASSED:
                break
    artifact = _artifact(folder) if _BUILD in trial.commands[0] else None
    reports = [artifact / name for name in (MANIFEST, *REPORTS)] if artifact else []
    for path in (*reports, *map(Path, trial.keep)):
        with suppress(OSError):
            shutil.copyfile(path, folder / path.name)
    _keep_logs(folder / "compiler", wall)
    tried = Tried(
        trial.name,
        role,
        trial.about,
        state,
        trial.commands,
        round(time.monotonic() - began, 3),
        "" if state == PASSED else _why(folder, state, trial.limit_s),
        artifact.name if artifact else None,
        {**_printed_facts(printed), **facts_of(folder)},
    )
    write_tried(folder, tried)
    return tried


def _ended(words: list[str], trial: Trial, stem: Path, limit_s: float) -> str:
    """Run one command to its end, or to the limit: its state. Nothing it started stays."""
    with stem.with_suffix(".out").open("wb") as out, stem.with_suffix(".err").open("wb") as err:
        process = subprocess.Popen(
            [sys.executable, *words],
            cwd=_ROOT,
            env={**os.environ, **trial.environment},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
        )
        try:
            code = process.wait(max(limit_s, 0.0))
            state = PASSED if code == 0 else FAILED
        except subprocess.TimeoutExpired:
            state = TIMED_OUT
        except (KeyboardInterrupt, SystemExit):
            state = STOPPED
        _end_group(process)
    return state


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """End a command and all that it started: SIGTERM, and after a while SIGKILL."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE_S)
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@contextmanager
def _monitored(folder: Path, wanted: bool) -> Iterator[None]:
    """`neuron-monitor` beside the block, a line of JSON every few seconds, where there is one."""
    tool = shutil.which("neuron-monitor", path=str(TOOLS)) or shutil.which("neuron-monitor")
    if not wanted or tool is None:
        yield
        return
    with (folder / "neuron-monitor.jsonl").open("wb") as lines:
        monitor = subprocess.Popen(
            [tool], stdin=subprocess.DEVNULL, stdout=lines, stderr=lines, start_new_session=True
        )
        try:
            yield
        finally:
            _end_group(monitor)


def _filled(word: str, names: Mapping[str, str]) -> str:
    for name, text in names.items():
        word = word.replace(name, text)
    return word


def _artifact(folder: Path) -> Optional[Path]:
    """The artifact that the first command built and whose folder it printed, if it did."""
    found = Path(_last_line(folder / "command-1.out") or "nothing printed")
    with suppress(OSError):  # a line that is no path may be too long for one
        return found if (found / MANIFEST).is_file() else None
    return None


def _keep_logs(folder: Path, since: float) -> None:
    """Text that a compiler left in its work folders after this time."""
    work = default_folder() / "work"
    for pattern in _OF_COMPILER:
        for path in work.rglob(pattern):
            with suppress(OSError):
                known = path.stat()
                if known.st_mtime >= since and known.st_size <= _MAX_KEPT_BYTES:
                    target = folder / path.relative_to(work)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(path, target)


def _why(folder: Path, state: str, limit_s: float) -> str:
    if state == TIMED_OUT:
        return f"not done after {limit_s:g} s"
    if state == STOPPED:
        return "ended by a signal"
    last = max(folder.glob("command-*.err"), key=lambda path: path.name)
    said = _last_line(last) or _last_line(last.with_suffix(".out"))
    return said or "it said nothing"


def _last_line(path: Path) -> str:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _END_BYTES))
        lines = file.read().decode("utf-8", "replace").strip().splitlines()
    return lines[-1].strip() if lines else ""


def _printed_facts(line: str) -> dict[str, Any]:
    """What a command printed as one line of JSON; {} if it was anything else."""
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
