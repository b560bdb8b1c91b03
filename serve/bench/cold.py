"""Cold start: from a new process to its first depth map, and the memory that process needs.

This module, run with the arguments ARTIFACT HEIGHT WIDTH RUNS, is that process.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from depth.artifact.manifest import Artifact, read_artifact
from depth.artifact.strict_json import decode, parse_object
from depth.child import child_command, child_environment, lifeline
from depth.sizes import Size
from serve.bench.network import latencies_ms, noise, open_program
from serve.errors import ProgramError

_END_BYTES = 10_000  # of what a process says; its last line is in them


@dataclass(frozen=True)
class Parts:
    """What the process says about itself."""

    load_s: float  # its runtime's package, the program's hash, and the program
    first_run_s: float


@dataclass(frozen=True)
class ColdStart:
    first_result_s: float  # from the order to start Python, as seen from outside
    parts: Parts
    peak_memory_bytes: int  # resident, of the whole process


def cold_start(artifact: Artifact, size: Size, runs: int) -> ColdStart:
    """Start a process that runs the program; its peak memory is that after `runs` more runs.

    Raises ProgramError with the last line that the process wrote, if it fails.
    """
    arguments = (str(artifact.folder.resolve()), *map(str, size), str(runs))
    started = time.perf_counter()
    # A file, since a pipe could be full before anybody reads it.
    with lifeline() as line, TemporaryFile() as said:
        process = subprocess.Popen(
            child_command(__name__, *arguments),
            env=child_environment(),
            stdin=line,
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
        )
        try:
            first = _out(process).readline()
            first_result_s = time.perf_counter() - started
            rest, _ = process.communicate()
        except BaseException:  # it must not outlive us
            process.kill()
            process.communicate()
            raise
        last = _last_line(said)
    try:
        parts = decode(Parts, parse_object(first.encode()))
        return ColdStart(first_result_s, parts, int(rest))
    except ValueError:
        raise ProgramError(
            f"{artifact.folder}: a new process with it ended with code {process.returncode}: {last}"
        ) from None


def peak_memory_bytes() -> int:
    """Largest resident memory of this process so far.

    From /proc: what getrusage tells begins at the size of the parent.
    """
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def main(folder: str, height: str, width: str, runs: str) -> None:
    """One line of JSON when the first result is there, then the peak memory in bytes."""
    size = (int(height), int(width))
    artifact = read_artifact(Path(folder))
    arrays = noise(artifact, size)
    started = time.perf_counter()
    with open_program(artifact, size) as runtime:
        loaded = time.perf_counter()
        runtime.run(arrays)
        parts = Parts(loaded - started, time.perf_counter() - loaded)
        sys.stdout.write(json.dumps(asdict(parts)) + "\n")
        sys.stdout.flush()
        latencies_ms(runtime, arrays, int(runs))
        sys.stdout.write(f"{peak_memory_bytes()}\n")


def _last_line(said: IO[bytes]) -> str:
    said.seek(max(0, said.seek(0, os.SEEK_END) - _END_BYTES))
    return (said.read().decode("utf-8", "replace").strip().splitlines() or ["it said nothing"])[-1]


def _out(process: subprocess.Popen[str]) -> IO[str]:
    if process.stdout is None:
        raise ProgramError("a process was started without its output")
    return process.stdout


if __name__ == "__main__":
    main(*sys.argv[1:])
