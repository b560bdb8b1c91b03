"""The compiler as a process of its own: how an SDK calls it, and how tests decide what it does.

The folder in the environment variable NEURON_STANDIN decides what happens. Its file `behaviours`
holds one word for each call, in order; after the last one every call is `ok`. Each call adds its
arguments as a line to the file `calls`. A compiler has words of its own, and these:

ok      the program is compiled
kill    ended by signal 9, as the kernel does when memory is short
abort   ended by SIGABRT
slow    takes a minute
grow    a child process of it takes 300 MB and then a minute
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

_STANDINS = Path(__file__).parents[1]
_SIGNALS = {"kill": signal.SIGKILL, "abort": signal.SIGABRT}
_GROW = "import time; held = bytearray(300 << 20); time.sleep(60)"


@dataclass(frozen=True)
class Failure:
    """How a compiler fails: in the words of a published issue, or as its documentation has them."""

    text: str
    on_stderr: bool = True
    in_log: bool = False
    code: int = 1
    aborts: bool = False


def call(command: Sequence[str], timeout_s: Optional[float] = None) -> int:
    """Run a compiler, which finds this module: its exit code. Raises TimeoutExpired."""
    environment = {**os.environ, "PYTHONPATH": str(_STANDINS)}
    return subprocess.run(command, env=environment, timeout=timeout_s, check=False).returncode


def begin(arguments: list[str]) -> str:
    """Note this call, and do as its word says, as far as all compilers can: the word."""
    folder = Path(os.environ["NEURON_STANDIN"])
    calls, words = folder / "calls", folder / "behaviours"
    before = len(calls.read_text().splitlines()) if calls.exists() else 0
    with calls.open("a") as file:
        file.write(json.dumps(arguments) + "\n")
    given = words.read_text().split() if words.exists() else []
    word = given[before] if before < len(given) else "ok"
    sys.stdout.write(".....\n")  # it shows progress on stdout
    if word in _SIGNALS:
        os.kill(os.getpid(), _SIGNALS[word])
    if word == "slow":
        time.sleep(60)
    if word == "grow":
        subprocess.run([sys.executable, "-c", _GROW], check=False)
    return word


def fails(word: str, failures: Mapping[str, Failure], log: Path) -> int:
    """Fail as the word says, with the compiler's log at `log`: the exit code, 0 if it goes on."""
    failure = failures.get(word)
    if failure is None:
        return 0
    if failure.on_stderr:
        sys.stderr.write(failure.text)
        sys.stderr.flush()
    log.write_text(failure.text if failure.in_log else "")
    if failure.aborts:
        os.kill(os.getpid(), signal.SIGABRT)
    return failure.code
