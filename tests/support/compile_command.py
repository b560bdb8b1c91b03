"""`python -m compile` in the process of the test."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest

from compile.cli import main
from depth.artifact.manifest import Artifact, read_artifact
from tests.support.places import ROOT


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str

    def error(self) -> str:
        """The lines that say why, after progress."""
        assert "Traceback" not in self.err
        assert self.out == ""
        _, _, text = self.err.partition("python -m compile: ")
        assert text
        return text

    def line(self) -> str:
        """The same, where it is one line."""
        assert self.error().count("\n") == 1
        return self.error()


def command(*arguments: object) -> Ended:
    """`python -m compile` with these arguments."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", ["compile", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
    return Ended(int(ended.value.code or 0), out.getvalue(), err.getvalue())


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
