"""A Python process of its own, to see what a command or an import does from nothing."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.support.places import ROOT


def run_python(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        check=False,
    )
