"""Thousands of damaged image files, read one after the other: each is read, or refused in words.

    python -m tests.benchmarks.mutations --count 5000

A process of its own reads them, with a limit of memory, so that a crash is seen. A file that takes
longer than the limit is a hang. Counts go to tests/benchmarks/results/mutations.json: files read,
refused by the kind of reason, foreign exceptions, crashes and hangs, the last three with the
numbers of the files.
"""

from __future__ import annotations

import json
import re
import resource
import select
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Optional

import typer

from depth.errors import ImageError
from depth.images.read import decode_image
from tests.support.hostile import mutations
from tests.support.image_samples import MUTABLE
from tests.support.places import ROOT

RESULT = Path(__file__).parent / "results/mutations.json"
LIMIT_S = 20.0  # for one file
COMMAND = [sys.executable, "-m", "tests.benchmarks.mutations"]  # what reads
MEMORY_BYTES = 6 << 30  # address space of the reading process


@dataclass
class Toll:
    """What became of the files. Right is: nothing in the last three."""

    files: int = 0
    read: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    slowest_ms: float = 0.0
    foreign: dict[int, str] = field(default_factory=dict)
    crashes: dict[int, str] = field(default_factory=dict)
    hangs: dict[int, str] = field(default_factory=dict)

    @property
    def right(self) -> bool:
        return not (self.foreign or self.crashes or self.hangs)


def take_toll(count: int, seed: int = 0) -> Toll:
    """Read `count` damaged files in processes of their own."""
    toll = Toll()
    while toll.files < count:
        for line in _reader(toll.files, count - toll.files, seed):
            if isinstance(line, str):  # it ended or hung; the next process goes on behind the file
                where = toll.hangs if line == "hang" else toll.crashes
                where[toll.files] = line
                toll.files += 1
                break
            _count(toll, line)
    return toll


def _count(toll: Toll, line: dict[str, Any]) -> None:
    if line["outcome"] == "read":
        toll.read += 1
    elif line["outcome"] == "refused":
        toll.refused[line["reason"]] += 1
    else:
        toll.foreign[toll.files] = line["reason"]
    toll.slowest_ms = max(toll.slowest_ms, line["ms"])
    toll.files += 1


def _reader(start: int, count: int, seed: int) -> Iterator[Any]:
    """A line for each file as a dict; at last "hang", or the exit code of a process that ended."""
    command = [*COMMAND, "--start", str(start), "--count", str(count), "--seed", str(seed)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        for _ in range(count):
            ready, _, _ = select.select([process.stdout], [], [], LIMIT_S)
            if not ready:
                process.kill()
                yield "hang"
                return
            line = process.stdout.readline()
            if not line:
                yield f"ended with {process.wait()}"
                return
            yield json.loads(line)


def read_files(start: int, count: int, seed: int) -> None:
    """Print a line of JSON for each file."""
    for name, data in islice(mutations(MUTABLE, seed), start, start + count):
        started = time.perf_counter()
        line = {"sample": name, **outcome(data)}
        line["ms"] = round((time.perf_counter() - started) * 1e3, 1)
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()


def outcome(data: bytes) -> dict[str, str]:
    try:
        image = decode_image(data, "x")
    except ImageError as error:
        return {"outcome": "refused", "reason": kind_of(str(error))}
    except Exception as error:  # what must not be
        return {"outcome": "foreign", "reason": repr(error)[:200]}
    wanted = (image.header.height_px, image.header.width_px, 3)
    if image.pixels.shape != wanted:
        return {"outcome": "foreign", "reason": f"pixels {image.pixels.shape}, not {wanted}"}
    return {"outcome": "read"}


def kind_of(message: str) -> str:
    """A message without what differs from file to file."""
    reason = message.partition("x: ")[2].partition(". Expected ")[0]
    reason = re.sub(r"0x[0-9a-f]+|\d+", "N", re.split(r"[;(]", reason)[0])
    return " ".join(reason.split())[:90]


def main(
    count: int = typer.Option(5000, help="Files."),
    seed: int = typer.Option(0, help="Of the damage."),
    start: Optional[int] = typer.Option(None, hidden=True, help="Read from this file on."),
) -> None:
    """Read damaged files and count what became of them."""
    if start is not None:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        read_files(start, count, seed)
        return
    toll = take_toll(count, seed)
    found = {**asdict(toll), "refused": dict(toll.refused.most_common())}
    RESULT.write_text(json.dumps(found, indent=2) + "\n")
    typer.echo(json.dumps(found, indent=2))
    raise typer.Exit(not toll.right)


if __name__ == "__main__":
    typer.run(main)
