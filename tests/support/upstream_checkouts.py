"""A checkout of Depth Anything 3, for the tests that compare with its code."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from tests.support.places import ROOT

UPSTREAM = os.environ.get("DEPTH_ANYTHING_3_UPSTREAM", "")

NEEDS_UPSTREAM = [
    pytest.mark.skipif(not UPSTREAM, reason="DEPTH_ANYTHING_3_UPSTREAM names no checkout"),
    pytest.mark.timeout(1800),
    pytest.mark.xdist_group("upstream"),
]


def require_imports() -> None:
    """Skip the test unless the checkout imports; fail if the package comes from elsewhere."""
    code, said, complaint = _imported()
    if code != 0:
        pytest.skip(f"{UPSTREAM} does not import: {complaint}")
    found = Path(said).resolve()
    assert Path(UPSTREAM).resolve() in found.parents, f"not the checkout: {found}"


@cache
def _imported() -> tuple[int, str, str]:
    """Exit code, and the last lines of the output and of the errors."""
    program = ROOT / "tests/support/upstream_da3.py"
    command = [sys.executable, str(program), UPSTREAM, "imports"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    last = [(text.strip().splitlines() or [""])[-1] for text in (done.stdout, done.stderr)]
    return done.returncode, last[0], last[1]
