"""Python processes whose output goes to files, and waiting for what they do."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Callable

from tests.support.places import ROOT


def start(place: Path, *arguments: object, **environment: str) -> subprocess.Popen[str]:
    """A Python process in the project's folder that writes `stdout` and `stderr` in `place`.

    Its variables are those of this process, less AWS_EC2_*, and `environment`.
    """
    own = {name: text for name, text in os.environ.items() if not name.startswith("AWS_EC2_")}
    own.update(environment, PYTHONPATH=str(ROOT), HF_HUB_OFFLINE="1", OMP_NUM_THREADS="1")
    with (place / "stdout").open("w") as stdout, (place / "stderr").open("w") as stderr:
        return subprocess.Popen(
            [sys.executable, *map(str, arguments)],
            cwd=ROOT,
            env=own,
            stdout=stdout,
            stderr=stderr,
            text=True,
        )


def until(condition: Callable[[], object], seconds: float = 5.0) -> bool:
    """Whether the condition becomes true in time."""
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.005)
    return bool(condition())


def wait_for(job: subprocess.Popen[str], path: Path, word: str = "") -> str:
    """The text of a file as soon as it has any, or has the word. The job must still run then."""

    def text() -> str:
        return path.read_text() if path.exists() else ""

    def there() -> bool:
        return bool(text()) and word in text()

    assert until(lambda: there() or job.poll() is not None, 60)
    assert there(), f"the job has ended with {job.poll()}"
    return text()
