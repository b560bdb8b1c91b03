"""The Makefile, the set-up scripts and the locks do what infra/README.md describes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version as installed
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.support.places import ROOT
from tests.support.wheels import indexes

LOCKS = sorted((ROOT / "infra" / "locks").glob("*.txt"))
SCRIPTS = [*sorted((ROOT / "infra").glob("*.sh")), ROOT / ".ci" / "run"]


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    # An outer make passes its flags and variables through the environment.
    environment = {k: v for k, v in os.environ.items() if k not in {"MAKEFLAGS", "MFLAGS", "ARGS"}}
    command = ["make", "-n", "-o", ".venv/.ready", "-o", ".venv-inf1/.ready", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)


def pins(lock: Path) -> list[str]:
    """Each requirement of a lock with its hashes, on one line."""
    return lock.read_text().replace("\\\n", "").splitlines()


def version(name: str, lock: str) -> str:
    (line,) = (line for line in pins(ROOT / "infra/locks" / lock) if line.startswith(f"{name}=="))
    return line.split()[0].split("==")[1]


def test_make_without_a_target_lists_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.M)
    assert phony
    listed = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    names = [line.split()[0] for line in listed.splitlines() if line.startswith("  ")]
    assert sorted(names) == sorted(phony[1].split())


@pytest.mark.parametrize(
    ("target", "missing"),
    [("compile", "MODEL"), ("parity", "ARTIFACT"), ("checkpoints", "MODEL"), ("bench", "UPSTREAM")],
)
def test_a_missing_variable_is_an_error_with_an_example(target: str, missing: str) -> None:
    done = make(target)
    assert done.returncode != 0
    assert f"{missing} is missing. For example: make {target} {missing}=" in done.stderr


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_parse(script: Path) -> None:
    subprocess.run(["bash", "-n", script], check=True)


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_locks_pin_by_hash_and_name_no_host(lock: Path) -> None:
    assert "://" not in lock.read_text()
    for line in pins(lock):
        assert re.match(r"[a-z0-9][a-z0-9._-]*==[0-9]", line), line
        without_known_hash = (lock.name, line) == ("torch-cpu.txt", "torchvision==0.23.0+cpu")
        assert without_known_hash or "--hash=sha256:" in line, line


def test_the_int8_lock_changes_no_package_of_the_lane() -> None:
    lane = {line.split("==")[0] for lock in ("cpu", "torch-default") for line in lines(lock)}
    added = {line.split("==")[0] for line in lines("int8")}
    assert "nncf" in added
    assert not lane & added


def lines(lock: str) -> list[str]:
    return pins(ROOT / "infra" / "locks" / f"{lock}.txt")


@pytest.mark.parametrize("name", ["torch", "torchvision"])
def test_the_cpu_build_and_the_default_build_have_one_version(name: str) -> None:
    assert version(name, "torch-cpu.txt") == version(name, "torch-default.txt") + "+cpu"


@pytest.fixture
def index(tmp_path: Path) -> Iterator[str]:
    """A package index on a free loopback port that serves a page for torch."""
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "index.html").write_text("<a href='x.whl'>x.whl</a>")
    with indexes(tmp_path) as address:
        yield address


def index_answers(url: str) -> bool:
    code = '. infra/tools.sh; index_answers "$1" "$2"'
    environment = {**os.environ, "no_proxy": "127.0.0.1"}
    command = ["bash", "-c", code, "bash", sys.executable, url]
    return subprocess.run(command, cwd=ROOT, env=environment).returncode == 0


def test_set_up_uses_an_index_only_if_it_serves_torch(index: str) -> None:
    assert index_answers(index)
    assert not index_answers(f"{index}/elsewhere")
    assert not index_answers("http://127.0.0.1:1")


def fresh(code: str) -> str:
    """The last line of what a Python of this lane says to some code; "" if it runs."""
    command = [sys.executable, "-W", "ignore", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.stderr.splitlines()[-1] if done.returncode else ""


in_the_inf1_lane = pytest.mark.skipif(
    not installed("torch").startswith("1.13.1"), reason="about the lane with torch 1.13.1"
)


@in_the_inf1_lane
def test_the_inf1_lane_has_the_setuptools_that_its_torch_imports() -> None:
    assert fresh("import pkg_resources, torch.utils.cpp_extension") == ""
    as_in_82 = "import sys; sys.modules['pkg_resources'] = None; import torch.utils.cpp_extension"
    assert "pkg_resources" in fresh(as_in_82)


@in_the_inf1_lane
@pytest.mark.skipif(find_spec("tensorboard") is None, reason="AWS's compiler brings tensorboard")
def test_torch_draws_graphs_with_the_tensorboard_of_the_compiler() -> None:
    assert fresh("import torch.utils.tensorboard._pytorch_graph") == ""
