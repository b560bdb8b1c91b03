"""Letters beyond ASCII in paths, in a locale that cannot decode them, and back in UTF-8."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from depth.artifact.manifest import Artifact, read_artifact
from depth.maps.files import read_depth
from tests.support.hostile import encoded, picture
from tests.support.places import ROOT
from tests.support.programs import make_artifact

NAME = "ümlaut/名前.png"
C = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
UTF8 = {"LC_ALL": "C.UTF-8"}

Run = Callable[..., "tuple[str, str]"]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs a command of the project in a locale: its stdout and stderr, from UTF-8."""
    path = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)}

    def run(locale: dict[str, str], *words: object) -> tuple[str, str]:
        done = subprocess.run(
            [sys.executable, "-m", *map(str, words)],
            cwd=tmp_path,
            env={**path, **locale},
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode(), done.stderr.decode()

    return run


@pytest.fixture
def artifact(tmp_path: Path) -> Artifact:
    (tmp_path / "in" / NAME).parent.mkdir(parents=True)
    (tmp_path / "in" / NAME).write_bytes(encoded(picture(56, 70), "PNG"))
    return make_artifact(tmp_path / "artéfacts")


@pytest.mark.parametrize(("first", "second"), [(C, UTF8), (UTF8, C)], ids=["C", "UTF-8"])
def test_a_result_is_kept_in_another_locale(
    run: Run, artifact: Artifact, tmp_path: Path, first: dict[str, str], second: dict[str, str]
) -> None:
    folder = artifact.folder.relative_to(tmp_path)
    command = ("serve", "folder", folder, "--input", "in", "--output", "out")
    out, err = run(first, *command)
    assert (out, "1 done" in err) == (f"out/{NAME}\n", True)
    out, err = run(second, *command)
    assert (out, "1 already there" in err) == (f"out/{NAME}\n", True)
    stored = read_depth(tmp_path / "out" / NAME)
    assert stored.depth.values.shape == (56, 70)


@pytest.mark.long
def test_an_artifact_is_built_in_a_folder_that_the_locale_cannot_decode(
    run: Run, tmp_path: Path
) -> None:
    words = (
        "--model",
        "demo",
        "--target",
        "openvino",
        "--size",
        "56x70",
        "--checkpoint",
        "untrained",
    )
    out, _ = run(C, "compile", "build", *words, "--out", "artéfacts")
    assert out.startswith("artéfacts/demo-openvino-fp32-")
    assert read_artifact(tmp_path / out.strip()).manifest.model == "demo"
