"""The Rust client: its own tests against a worker, and its program. Skipped without cargo."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.places import ROOT
from tests.support.sidecars import PNG, STUB_WORKER

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(shutil.which("cargo") is None, reason="needs cargo, which is not there"),
]
MANIFEST = ROOT / "serve" / "sidecar" / "rust" / "Cargo.toml"


@pytest.fixture(name="target", scope="module")
def target_fixture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("target")


def cargo(target: Path, *words: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["cargo", *map(str, words)],
        env={
            **os.environ,
            "CARGO_TARGET_DIR": str(target),
            "PYTHONPATH": str(ROOT),
            "RUSTFLAGS": "-D warnings",
            **environment,
        },
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_crate_needs_no_other() -> None:
    listed = (MANIFEST.parent / "Cargo.lock").read_text(encoding="utf-8")
    assert re.findall(r'name = "(.*)"', listed) == ["depth-sidecar"]


def test_its_own_tests_pass_against_a_worker(tmp_path: Path, target: Path) -> None:
    (tmp_path / "a.png").write_bytes(PNG)
    done = cargo(
        target,
        *("test", "--offline", "--locked", "--manifest-path", MANIFEST),
        DEPTH_SIDECAR_COMMAND="\n".join(STUB_WORKER),
        DEPTH_SIDECAR_IMAGE=str(tmp_path / "a.png"),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert sum(map(int, re.findall(r"ok\. (\d+) passed", done.stdout))) >= 15


def test_the_program_prints_size_and_range(tmp_path: Path, target: Path) -> None:
    (tmp_path / "a.png").write_bytes(PNG)
    run = ("run", "-q", "--offline", "--locked", "--manifest-path", MANIFEST, "--")
    image = tmp_path / "a.png"
    done = cargo(target, *run, image, "--", *STUB_WORKER)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{image}: 20 x 12 RelativeInverse 0 to 1 stub\n"
    failed = cargo(target, *run, image, tmp_path / "b.png", "--", *STUB_WORKER)
    assert failed.returncode == 1
    assert "b.png: ImageError: " in failed.stderr
    gone = cargo(target, *run, image, "--", sys.executable, "-c", "pass")
    assert (gone.returncode, "the worker is lost" in gone.stderr) == (1, True)
    assert cargo(target, *run).returncode == 2
