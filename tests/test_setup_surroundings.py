"""Set-up and make do the same whatever settings, paths and values of elsewhere surround them."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.places import ROOT

# Stands for an environment's Python: writes its arguments to the file that ARGUMENTS names.
# A shell starts it, since the first line of a script takes no path with a space.
RECORDER = f"""#!/bin/sh
exec {shlex.quote(sys.executable)} -c '
import json, os, sys
json.dump(sys.argv[1:], open(os.environ["ARGUMENTS"], "w"))
' "$@"
"""
AWKWARD = [
    "a b",
    'say "x"',
    "$(touch made)",
    "`touch made`",
    "$$(touch made)",
    "cost $5",
    "~/x",
    "*",
]


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The Makefile and the set-up scripts, in a folder whose name is awkward too."""
    for name in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL"):  # of the make that runs these tests
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "a $5 folder"
    shutil.copytree(ROOT / "infra", folder / "infra")
    shutil.copy(ROOT / "Makefile", folder)
    return folder


def made(checkout: Path, *arguments: str) -> list[str]:
    """The arguments that the environment's Python got from a target."""
    python = checkout / "stand-in" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(RECORDER)
    python.chmod(0o755)
    command = ["make", "-o", ".venv/.ready", "-o", "stand-in/.ready", *arguments]
    command += ["PYTHON=stand-in/bin/python", "LANE=stand-in"]
    environment = {**os.environ, "ARGUMENTS": str(checkout / "arguments.json")}
    subprocess.run(command, cwd=checkout, env=environment, check=True, capture_output=True)
    assert not (checkout / "made").exists()
    return json.loads((checkout / "arguments.json").read_text())  # type: ignore[no-any-return]


@pytest.mark.parametrize("value", AWKWARD)
def test_make_passes_values_on_unchanged(checkout: Path, value: str) -> None:
    got = made(checkout, "inference", f"INPUT={value}", f"OUTPUT={value}", "MODEL=demo")
    assert {f"--input={value}", f"--output={value}", "--model=demo"} <= set(got)


def test_inference_gets_a_model_only_if_it_is_given(checkout: Path) -> None:
    assert not [word for word in made(checkout, "inference") if "model" in word]


def test_each_size_becomes_an_option(checkout: Path) -> None:
    got = made(checkout, "compile", "MODEL=vits", "SIZE=518x686 252x336")
    assert [word for word in got if "size" in word] == ["--size=518x686", "--size=252x336"]


@pytest.mark.parametrize("value", ["", "auto"])
def test_a_job_gets_a_precision_only_if_it_is_given(checkout: Path, value: str) -> None:
    got = made(checkout, "compile", "MODEL=vits", "SIZE=28x42", f"PRECISION={value}")
    assert [word for word in got if "precision" in word] == ["--precision=auto"] * bool(value)


@pytest.mark.parametrize(("value", "accepts"), [("1", True), ("0", False), ("no", False)])
def test_only_a_yes_accepts_a_licence(checkout: Path, value: str, accepts: bool) -> None:
    got = made(checkout, "checkpoints", "MODEL=vitb", f"ACCEPT_LICENCE={value}")
    assert ("--accept-licence" in got) is accepts


def test_cleaning_deletes_only_caches_of_the_project(checkout: Path) -> None:
    ours = [checkout / ".mypy_cache", checkout / "depth" / "maps" / "__pycache__"]
    theirs = [checkout / "photos" / ".thumb_cache", checkout / "photos" / "__pycache__"]
    programs = checkout / "artifacts" / "x"
    for folder in (*ours, *theirs, programs):
        folder.mkdir(parents=True)
    for package in ("compile", "serve"):
        (checkout / package).mkdir()
    run = subprocess.run(["make", "clean"], cwd=checkout, capture_output=True, text=True)
    assert not any(folder.exists() for folder in ours)
    assert all(folder.exists() for folder in (*theirs, programs))
    assert ".mypy_cache" in run.stdout
    subprocess.run(["make", "clean-artifacts"], cwd=checkout, check=True)
    assert not programs.exists()


@pytest.mark.parametrize("name", ["output_depth", "my $depth 'x'"])
def test_cleaning_names_the_output_folder(checkout: Path, name: str) -> None:
    python = checkout / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\nprintf "<%s>" "$@"\n')
    python.chmod(0o755)
    command = ["make", "clean", f"OUTPUT={name}"]
    run = subprocess.run(command, cwd=checkout, capture_output=True, text=True)
    assert run.stdout == "", "there is no such folder"
    (checkout / name).mkdir()
    run = subprocess.run(command, cwd=checkout, capture_output=True, text=True)
    assert run.stdout == f"<main.py><clean><{name}>"


def test_an_environment_without_its_python_is_made_again(checkout: Path) -> None:
    stamp = checkout / ".venv" / ".ready"
    (stamp.parent / "bin").mkdir(parents=True)
    stamp.touch()
    command = ["make", "-n", "inference"]
    broken = subprocess.run(command, cwd=checkout, capture_output=True, text=True).stdout
    (stamp.parent / "bin" / "python").symlink_to(sys.executable)
    sound = subprocess.run(command, cwd=checkout, capture_output=True, text=True).stdout
    assert "infra/setup.sh cpu" in broken
    assert "infra/setup.sh" not in sound


def in_tools(
    code: str, checkout: Path = ROOT, **environment: str
) -> subprocess.CompletedProcess[str]:
    command = ["bash", "-c", f". ./infra/tools.sh; {code}"]
    settings = {**os.environ, **environment}
    return subprocess.run(command, cwd=checkout, env=settings, capture_output=True, text=True)


def test_packages_on_pythonpath_do_not_reach_a_target(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "json.py").write_text("raise ImportError('built for another Python')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert "--model=demo" in made(checkout, "inference", "MODEL=demo")


SENT = ("infra/setup.sh", "infra/tools.sh", "infra/locks/cpu.txt", "Makefile", "docs/demo.jpg")


@pytest.mark.parametrize("attributes", [True, False])
def test_git_s_settings_for_windows_leave_every_byte(tmp_path: Path, attributes: bool) -> None:
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    git = ("git", "-c", "core.autocrlf=true", "-c", "core.safecrlf=false")
    for name in (*SENT, ".gitattributes"):
        if attributes or name != ".gitattributes":
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, tmp_path / name)
    for words in (("init", "-q"), ("add", ".")):
        subprocess.run([*git, *words], cwd=tmp_path, check=True)
    for name in SENT:
        (tmp_path / name).unlink()
    subprocess.run([*git, "checkout", "-q", "--", *SENT], cwd=tmp_path, check=True)
    changed = [n for n in SENT if (tmp_path / n).read_bytes() != (ROOT / n).read_bytes()]
    assert changed == ([] if attributes else list(SENT[:-1]))


def test_settings_of_other_tools_do_not_reach_set_up() -> None:
    foreign = ("PIP_USER", "PIP_TARGET", "UV_REQUIRE_HASHES", "UV_EXCLUDE_NEWER", "PYTHONPATH")
    kept = ("PIP_INDEX_URL", "PIP_CERT", "UV_DEFAULT_INDEX", "UV_CACHE_DIR", "UV", "HTTPS_PROXY")
    found = in_tools("env", **dict.fromkeys((*foreign, *kept), "x")).stdout.splitlines()
    names = {line.split("=")[0] for line in found}
    assert not names & set(foreign)
    assert set(kept) <= names


def test_a_folder_on_cdpath_is_not_taken_for_the_checkout(checkout: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "infra").mkdir(parents=True)
    environment = {**os.environ, "CDPATH": str(elsewhere)}
    command = ["bash", "infra/setup.sh", "no-such-lane"]
    run = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True)
    assert run.stderr == "usage: infra/setup.sh [cpu|inf1]\n"
    assert run.returncode == 2


def test_a_python_without_a_module_of_its_own_is_passed_over(tmp_path: Path) -> None:
    python = tmp_path / "python3.9"
    python.write_text(
        f'#!/bin/sh\n[ "$2" = "import lzma" ] && exit 1\nexec {shlex.quote(sys.executable)} "$@"\n'
    )
    python.chmod(0o755)
    run = in_tools("local_python39", PYTHON39=str(python))
    assert run.returncode == 1
    assert "no module 'lzma'" in run.stderr
    assert in_tools("local_python39", PYTHON39=sys.executable).stdout.strip() == sys.executable
