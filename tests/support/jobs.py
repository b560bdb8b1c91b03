"""Compile jobs for the tests: the command, and what lies there after a run."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path
from typing import Optional

import pytest

from compile.build.package import is_whole
from compile.weights import BUNDLED
from depth.artifact.manifest import Artifact, read_artifact
from depth.store.listing import listing
from depth.store.objects import open_store
from tests.support.commands import Ended
from tests.support.compile_command import command

__all__ = ["Ended", "command"]
SOURCE = "0" * 64
STEPS = ["fetch", "preflight", "precision", "build", "push"]
# In the current folder, where a test changes to.
JOB = ("job", "--model", "demo", "--target", "onnx", "--size", "28x42")
JOB += ("--checkpoint", "weights.safetensors", "--images", "images", "--out", "out")
WITH_STORE = (*JOB, "--store", "store")


def prepare(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Make it the current folder, with weights, no photographs and an empty store.

    Also, somebody who edits our code while tests run shall not make them build again.
    """
    patch.chdir(folder)
    patch.setattr("compile.build.package.source_sha256", lambda *_: SOURCE)
    shutil.copyfile(BUNDLED, folder / "weights.safetensors")
    (folder / "images").mkdir()
    (folder / "store").mkdir()


def job_folder() -> Path:
    """Of the only job in the current folder."""
    (folder,) = Path("out/jobs").iterdir()
    return folder


def report() -> str:
    return (job_folder() / "report.md").read_text(encoding="utf-8")


def top() -> dict[str, str]:
    """The lines at the top of the report, by their first word."""
    lines = re.findall(r"^- (\w+[ \w]*): (.*)$", report().partition("\n| step |")[0], re.MULTILINE)
    return dict(lines)


def next_command() -> list[str]:
    """The words after `python -m compile` of the command that the report names."""
    (text,) = re.findall(r"`python -m compile ([^`]*)`", top()["Next"])
    return shlex.split(text)


def states() -> dict[str, str]:
    """What the report says of each step: "done before", "failed" or nothing."""
    rows = re.findall(r"^\| (\w+) \| [\d.]* ?\| ([a-z ]*)\|$", report(), re.MULTILINE)
    return {step: state.strip() for step, state in rows}


def done_before() -> list[str]:
    return [step for step, state in states().items() if state == "done before"]


def only_artifact() -> Artifact:
    """The artifact in the current folder: there is exactly one, whole, and nothing half made."""
    (folder,) = (path for path in Path("out").iterdir() if path.is_dir() and path.name != "jobs")
    assert is_whole(folder)
    assert not list(Path("out/jobs").rglob("*.part"))
    return read_artifact(folder)


def stored(location: str = "store", endpoint_url: Optional[str] = None) -> list[str]:
    """Identities of the artifacts in a store."""
    with open_store(location, endpoint_url) as store:
        return [row.entry.identity for row in listing(store).rows]
