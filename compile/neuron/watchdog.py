"""Watches the processes of a compile run, and ends them before the machine is out of memory.

The kernel would end the compiler with signal 9, or another program. The watchdog ends only the
compiler, and records the reason.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional

logger = logging.getLogger(__name__)

PROC = Path("/proc")
_OWN_COMMAND = PROC / "self" / "cmdline"
_EVERY_S = 0.2
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_SHARE = 0.9  # of the free memory: the rest is for other programs


@dataclass
class Watch:
    """What was seen so far."""

    limit_bytes: int
    peak_bytes: int = 0  # resident memory of all watched processes together
    cause: Optional[str] = None  # "memory" or "time" once they were ended for it
    seen: dict[int, int] = field(default_factory=dict)  # process -> when it began, in clock ticks


@dataclass(frozen=True)
class _Process:
    parent: int
    began: int
    resident_bytes: int


@contextmanager
def watched(watch: Watch, timeout_s: Optional[float] = None) -> Iterator[Watch]:
    """Watch every process that this process starts in the block; end them all over a limit.

    A page that several processes share counts once for each. If the block ends with an exception,
    the watchdog ends every process that is left.
    """
    done = threading.Event()
    others = set(_descendants(_processes()))
    deadline = time.monotonic() + timeout_s if timeout_s is not None else float("inf")

    def look() -> None:
        while not done.wait(_EVERY_S):
            _look(watch, others, deadline)

    thread = threading.Thread(target=look, name="compiler watchdog", daemon=True)
    thread.start()
    try:
        yield watch
    except BaseException:
        done.set()
        thread.join()
        _end(watch, others)
        raise
    finally:
        done.set()
        thread.join()


def free_memory_bytes() -> int:
    """The memory that a compiler may take here: most of what the machine, or its cgroup, has."""
    lines = (PROC / "meminfo").read_text().splitlines()
    found = {line.split(":")[0]: int(line.split()[1]) << 10 for line in lines}
    free = found["MemAvailable"]
    group = Path("/sys/fs/cgroup")
    with suppress(OSError, ValueError):  # no such files, or "max"
        limit = int((group / "memory.max").read_text())
        free = min(free, limit - int((group / "memory.current").read_text()))
    return int(_SHARE * free)


def _look(watch: Watch, others: set[int], deadline: float) -> None:
    processes = _processes()
    mine = _mine(processes, others)
    watch.seen.update((process, processes[process].began) for process in mine)
    used = sum(processes[process].resident_bytes for process in mine)
    watch.peak_bytes = max(watch.peak_bytes, used)
    if mine and (used > watch.limit_bytes or time.monotonic() > deadline):
        watch.cause = watch.cause or ("memory" if used > watch.limit_bytes else "time")
        logger.warning("the compiler is ended: %s", watch.cause)
        _end(watch, others)


def _mine(processes: dict[int, _Process], others: set[int]) -> set[int]:
    return {process for process in set(_descendants(processes)) - others if _runs(process)}


def _hold(watch: Watch, others: set[int]) -> None:
    """Stop all processes, so that none can start a child that the watchdog does not see."""
    held: set[int] = set()
    while True:
        processes = _processes()
        born = _mine(processes, others) - held
        if not born:
            return
        for process in born:
            watch.seen[process] = processes[process].began
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGSTOP)
        held |= born


def _runs(process: int) -> bool:
    """Whether a process runs a program of its own: it has begun, and has not ended.

    Just forked it is a copy of this process, and seems to hold all that this one holds.
    """
    with suppress(OSError):
        command = (PROC / str(process) / "cmdline").read_bytes()
        return command not in (b"", _OWN_COMMAND.read_bytes())
    return False


def _end(watch: Watch, others: set[int]) -> None:
    """End every process seen, also if its parent is gone; spare a process with a reused number."""
    _hold(watch, others)
    processes = _processes()
    for process, began in watch.seen.items():
        if process in processes and processes[process].began == began:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)


def _descendants(processes: dict[int, _Process]) -> Iterator[int]:
    children: dict[int, list[int]] = {}
    for process, facts in processes.items():
        children.setdefault(facts.parent, []).append(process)
    waiting = list(children.get(os.getpid(), ()))
    while waiting:
        process = waiting.pop()
        yield process
        waiting += children.get(process, ())


def _processes() -> dict[int, _Process]:
    found = {}
    for folder in PROC.iterdir():
        if folder.name.isdigit():
            with suppress(OSError):  # it has ended meanwhile
                found[int(folder.name)] = _facts((folder / "stat").read_text())
    return found


def _facts(stat: str) -> _Process:
    """The name, in brackets, may hold anything; the fields after it are counted from 3."""
    fields = stat[stat.rindex(")") + 2 :].split()
    return _Process(int(fields[1]), int(fields[19]), int(fields[21]) * _PAGE_BYTES)
