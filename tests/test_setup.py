"""The Makefile, the set-up scripts and the locks do what infra/README.md describes."""

from __future__ import annotations

import functools
import http.server
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.places import ROOT

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


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def index(tmp_path: Path) -> Iterator[str]:
    """A package index on a free loopback port that serves a page for torch."""
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "index.html").write_text("<a href='x.whl'>x.whl</a>")
    handler = functools.partial(QuietHandler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def index_answers(url: str) -> bool:
    code = '. infra/tools.sh; index_answers "$1" "$2"'
    environment = {**os.environ, "no_proxy": "127.0.0.1"}
    command = ["bash", "-c", code, "bash", sys.executable, url]
    return subprocess.run(command, cwd=ROOT, env=environment).returncode == 0


def test_set_up_uses_an_index_only_if_it_serves_torch(index: str) -> None:
    assert index_answers(index)
    assert not index_answers(f"{index}/elsewhere")
    assert not index_answers("http://127.0.0.1:1")
