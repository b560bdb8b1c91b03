"""`python -m compile` in the process of the test."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from compile.cli import main
from depth.artifact.manifest import Artifact, read_artifact
from tests.support.commands import Ended, ended
from tests.support.places import ROOT


def command(*arguments: object) -> Ended:
    """`python -m compile` with these arguments."""
    return ended(main, "python -m compile", *arguments)


def in_two_processes(
    python: Sequence[str], outs: Sequence[Path]
) -> list[tuple[list[Artifact], str]]:
    """Run Python with these arguments and --out once for each folder, at the same time.

    Returns the artifacts whose folders each process printed, and its stderr.
    """
    processes = [
        subprocess.Popen(
            [sys.executable, *python, "--out", str(out)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for out in outs
    ]
    ends = [process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [0] * len(outs), ends
    return [(list(map(read_artifact, map(Path, out.splitlines()))), err) for out, err in ends]
