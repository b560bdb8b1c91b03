"""Processes that run a module of this project, and end when their parent process ends.

`python -m` would put the working directory first on the path, and Python would run files in it.

A child learns of its parent's end from a pipe, which the system closes even after SIGKILL. Linux
can send a signal instead (`PR_SET_PDEATHSIG`), but at the end of the thread that started the child,
and only a single signal: SIGTERM waits for C code, and SIGKILL leaves a compiler's files.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

GRACE_S = 2.0  # for a process to remove its files after SIGTERM, before SIGKILL

_ROOT = Path(__file__).resolve().parents[1]
_BEGIN = (
    "import sys; sys.path[:] = [sys.argv.pop(1), *filter(None, sys.path)]; "
    "from depth.child import main; main()"
)


def child_command(module: str, *arguments: str) -> list[str]:
    """The command that runs a module as `python -m` does, without the working directory's files.

    Its stdin has to be a `lifeline()`, and its environment `child_environment()`.
    """
    return [sys.executable, "-c", _BEGIN, str(_ROOT), module, *arguments]


def child_environment() -> dict[str, str]:
    """This process's environment. In PYTHONPATH an empty part means the working directory."""
    parts = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, parts))}


@contextmanager
def lifeline() -> Iterator[int]:
    """A stdin for a child, which ends at the end of this block or of this process."""
    read_end, write_end = os.pipe()
    try:
        yield read_end
    finally:
        os.close(read_end)
        os.close(write_end)


def main() -> None:
    """Run the module named by the first argument, until the lifeline on stdin ends."""
    module = sys.argv.pop(1)
    line = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    threading.Thread(target=_end_with, args=(line,), daemon=True).start()
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _end_with(line: int) -> None:
    os.read(line, 1)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_S)
    os.kill(os.getpid(), signal.SIGKILL)
