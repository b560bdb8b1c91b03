"""A service of a real artifact in a process of its own, and what the system says of it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.hostile import encoded, picture
from tests.support.processes import start, wait_for

_MB = 1e6


@contextmanager
def a_served_artifact(
    artifact: Path, place: Path, *options: object
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`python -m serve http` on a free port, once it is ready, and its URL."""
    with _served(place, "-m", "serve", "http", artifact, "--port", 0, *options) as served:
        yield served


@contextmanager
def an_empty_service(place: Path, answer_bytes: int) -> Iterator[str]:
    """The URL of tests.support.empty_service in a process of its own."""
    with _served(place, "-m", "tests.support.empty_service", answer_bytes) as (_, url):
        yield url


@contextmanager
def _served(place: Path, *arguments: object) -> Iterator[tuple[subprocess.Popen[str], str]]:
    place.mkdir(parents=True, exist_ok=True)
    process = start(place, *arguments)
    try:
        url = wait_for(process, place / "stderr", "ready: ").partition("ready: ")[2].split()[0]
        yield process, url
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def memory_mb(process: subprocess.Popen[str]) -> float:
    """Resident memory."""
    pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / _MB


def descriptors(process: subprocess.Popen[str]) -> int:
    """Open files and sockets."""
    return len(list(Path(f"/proc/{process.pid}/fd").iterdir()))


def cpu_s(pid: int) -> float:
    """CPU time that a process has taken."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def jpeg_1080p(seed: int = 0) -> bytes:
    """A JPEG file of 1920x1080 px."""
    return encoded(picture(1080, 1920, seed=seed), "JPEG", quality=85)


def percentile(values: list[float], share: float) -> float:
    """The smallest value that `share` of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
