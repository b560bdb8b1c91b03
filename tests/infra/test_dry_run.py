"""Compile-then-deploy on one machine: the good run, and a failure in each state."""

from __future__ import annotations

import importlib.util
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Optional

import pytest

from infra.dry_run.cloud import BUCKET, PREFIX, Cloud
from infra.dry_run.flow import DONE, FAILED, STEPS, Ran, StateError, walk
from infra.dry_run.place import Place
from infra.dry_run.trial import Seen, trial
from tests.support.architecture import PACKAGES, SCRIPTS, sources
from tests.support.places import ROOT
from tests.support.processes import until

FORWARD = ("Compile", "Parity", "Remember", "Promote", "Deploy", "Smoke")
OLD, NEW = "0" * 64, "1" * 64
NEEDED = ("torch", "openvino", "moto", "fastapi", "uvicorn", "boto3", "typer")
here = pytest.mark.skipif(
    None in map(importlib.util.find_spec, NEEDED), reason=f"needs {', '.join(NEEDED)}"
)
GOOD = Seen(
    None, [Ran("Smoke", 1.0, "")], DONE, NEW, frozenset({OLD, NEW}), NEW, NEW, Counter({OLD: 3}), []
)
BAD = replace(GOOD, fail="Smoke", ran=[Ran("Smoke", 1.0, "no")], ended=FAILED)


def _walked(fail: str) -> tuple[list[str], str]:
    def act(state: str) -> None:
        if state == fail:
            raise StateError("no")

    ran, ended = walk(act)
    return [each.state for each in ran], ended


def test_the_states_follow_each_other() -> None:
    assert _walked("") == (list(FORWARD), DONE)
    assert set(STEPS["flow"]) == {*FORWARD, "Rollback", "DeployBefore"}


@pytest.mark.parametrize("fail", FORWARD)
def test_a_failure_goes_back_once_production_has_moved(fail: str) -> None:
    back = ["Rollback", "DeployBefore"] if fail in ("Deploy", "Smoke") else []
    assert _walked(fail) == ([*FORWARD[: FORWARD.index(fail) + 1], *back], FAILED)


@pytest.mark.parametrize(("times", "ended"), [(1, 2), (2, 3), (9, 3)])
def test_going_back_is_tried_again(times: int, ended: int) -> None:
    failures = ["Smoke", *["Rollback"] * times]

    def act(state: str) -> None:
        if state in failures:
            failures.remove(state)
            raise StateError("no")

    ran, last = walk(act)
    states = [each.state for each in ran]
    assert last == FAILED
    assert states.count("Rollback") == ended
    assert ("DeployBefore" in states) == (times < 3)


def test_a_run_as_it_must_be() -> None:
    assert GOOD.problems() == []
    assert BAD.problems() == []


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        (replace(GOOD, ran=[Ran("Parity", 1.0, "no")]), "failed: Parity; expected: no state"),
        (replace(BAD, ran=GOOD.ran), "failed: no state; expected: Smoke"),
        (replace(BAD, fail="Rollback"), "failed: Smoke; expected: Smoke, Rollback"),
        (replace(GOOD, ended=FAILED), "the last state is Failed; expected Done"),
        (replace(GOOD, production=OLD), "production names 000000000000; expected 111111111111"),
        (replace(GOOD, answering=OLD), "000000000000 answers; expected 111111111111"),
        (replace(GOOD, lost=["503 busy"]), "1 requests were lost; the first: 503 busy"),
        (replace(GOOD, answers=Counter()), "nobody asked meanwhile"),
        (replace(GOOD, answers=Counter({"2" * 64: 4})), "4 answers of 222222222222"),
    ],
)
def test_a_run_that_is_not(seen: Seen, said: str) -> None:
    assert seen.problems() == [said]


@here
@pytest.mark.dry_run
def test_the_server_enforces_the_policies_of_the_roles(tmp_path: Path) -> None:
    from botocore.exceptions import ClientError

    cloud = Cloud(tmp_path / "cloud")
    try:
        put = {"Bucket": BUCKET, "Key": f"{PREFIX}/aliases/a/production.json", "Body": b"{}"}
        for role, granted in {"promote": True, "push": False, "read": False}.items():
            client = cloud.client("s3", role)
            if granted:
                client.put_object(**put)
                with cloud.refusing(role, "aliases/a/production.json"), pytest.raises(ClientError):
                    client.put_object(**put)
                client.put_object(**put)
            else:
                with pytest.raises(ClientError, match="AccessDenied"):
                    client.put_object(**put)
    finally:
        cloud.close()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with Place(tmp_path_factory.mktemp("dry-run")) as made:
        made.begin("70x98")
        yield made


@here
@pytest.mark.dry_run
@pytest.mark.parametrize(
    ("fail", "said"),
    [
        ("Compile", "safetensors"),
        ("Parity", "too far from the eager network"),
        ("Remember", "PutObject was denied"),
        ("Promote", "PutObject was denied"),
        ("Deploy", "ended before it was ready"),
        ("Smoke", "was promoted"),
        ("Rollback", "was promoted"),
        ("DeployBefore", "was promoted"),
        (None, ""),
    ],
)
def test_the_right_artifact_answers_after(place: Place, fail: Optional[str], said: str) -> None:
    """After a failure in each state the artifact before; no request is lost."""
    seen = trial(place, fail, (fail or "good").lower(), "98x140", lambda _: None)
    assert seen.problems() == []
    failed = [ran for ran in seen.ran if ran.problem]
    assert all(said in ran.problem for ran in failed[:1]), failed
    others = fail in (None, "Smoke", "Rollback", "DeployBefore")
    assert len({seen.answering, *seen.answers}) == 1 + others


def _in(folder: Path) -> list[int]:
    """The processes that work in a folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cwd"):
        try:
            if path.readlink().is_relative_to(folder):
                found.append(int(path.parent.name))
        except OSError:
            continue  # it has ended, or belongs to somebody else
    return found


@here
@pytest.mark.dry_run
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_ends_every_process(tmp_path: Path, number: signal.Signals) -> None:
    keep = tmp_path / "kept"
    process = subprocess.Popen(
        [sys.executable, "-m", "infra.dry_run", "--keep", str(keep)],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert until(lambda: list(keep.glob("*-compile/job")) and len(_in(keep)) > 1, 120)
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130
    assert said.endswith("interrupted; every process was ended\n")
    assert until(lambda: not _in(keep))


def test_no_package_knows_the_dry_run_and_it_knows_none() -> None:
    ours = (*PACKAGES, *(script[: -len(".py")] for script in SCRIPTS))
    assert [file.path for file in sources(*PACKAGES, *SCRIPTS) if file.importing("infra")] == []
    assert [file.path for file in sources("infra/dry_run") if file.importing(*ours)] == []
    assert [file.path for file in sources("infra/dry_run") if file.importing("infra.dry_run")]


def test_an_unknown_state_is_refused() -> None:
    command = [sys.executable, "-m", "infra.dry_run", "--fail", "nothing"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "invalid choice: 'nothing'" in done.stderr
