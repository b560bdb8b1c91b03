"""All cores at work for a time: does the rate fall, does memory grow, do bits change?"""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from depth.artifact.manifest import read_artifact
from depth.errors import first_line
from depth_anything.first_run.experiments.report import end
from serve.arrays import Arrays
from serve.backend import core_count
from serve.bench.network import noise, open_program
from serve.errors import ServeError
from serve.runtimes.neuron_cores import RUNS_PER_CORE
from serve.runtimes.program import Runtime

_PARTS = 10  # of the time; the rates of the first and the last are compared
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    artifact, duration_s = read_artifact(Path(sys.argv[1])), float(sys.argv[2])
    size = artifact.manifest.programs[0].size
    arrays, streams = noise(artifact, size), RUNS_PER_CORE * (core_count(artifact) or 1)
    with open_program(artifact, size, streams) as runtime:
        reference = _bits(runtime.run(arrays))
        before_bytes, began = _resident_bytes(), time.monotonic()
        with ThreadPoolExecutor(streams) as pool:
            waits = [
                pool.submit(_worked, runtime, arrays, reference, began, duration_s)
                for _ in range(streams)
            ]
            found = [wait.result() for wait in waits]
        after_bytes = _resident_bytes()
    ends_s = [second for row in found for second in row[0]]
    errors = sum((row[1] for row in found), Counter())
    part_s = duration_s / _PARTS
    facts = {
        "images": len(ends_s),
        "first_images_per_s": sum(end_s < part_s for end_s in ends_s) / part_s,
        "last_images_per_s": sum(duration_s - part_s <= end_s < duration_s for end_s in ends_s)
        / part_s,
        "grown_bytes": after_bytes - before_bytes,
        "errors": dict(errors),
    }
    failure = f"{sum(errors.values())} runs failed: {next(iter(errors))}" if errors else ""
    end(facts, failure or ("" if ends_s else "no run ended"))


def _worked(
    runtime: Runtime, arrays: Arrays, reference: bytes, began: float, duration_s: float
) -> tuple[Sequence[float], Counter[str]]:
    """Seconds after the beginning at which runs ended, and what went wrong."""
    ends_s: list[float] = []
    errors: Counter[str] = Counter()
    while time.monotonic() - began < duration_s:
        try:
            same = _bits(runtime.run(arrays)) == reference
        except ServeError as error:
            errors[first_line(error)] += 1
            continue
        if not same:
            errors["other bits than the first run"] += 1
        ends_s.append(time.monotonic() - began)
    return ends_s, errors


def _bits(outputs: Arrays) -> bytes:
    return b"".join(array.tobytes() for array in outputs.values())


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_BYTES


if __name__ == "__main__":
    main()
