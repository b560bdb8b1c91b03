"""A command line in this process: its exit code, and what it prints."""

from __future__ import annotations

import io
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from typing import Callable

import pytest


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    prefix: str  # of its errors: "python -m compile: "
    code: int
    out: str
    err: str

    def error(self) -> str:
        """The only error, without its prefix, after progress. The command must print no result."""
        assert "Traceback" not in self.err
        assert self.out == ""
        progress, _, text = f"\n{self.err}".partition(f"\n{self.prefix}")
        assert text, progress
        assert f"\n{self.prefix}" not in text
        return text

    def line(self) -> str:
        """The only error, which is one line."""
        assert self.error().count("\n") == 1
        return self.error()


def ended(main: Callable[[], object], name: str, *arguments: object) -> Ended:
    """Run a command; `name` is in front of its errors: "python -m compile"."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", [name.split()[-1], *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            main()
    return Ended(f"{name}: ", int(caught.value.code or 0), out.getvalue(), err.getvalue())
