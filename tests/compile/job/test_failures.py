"""A compile job that cannot go on: what is told, what the report says, and what a rerun keeps."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import signal
from pathlib import Path
from types import FrameType
from typing import Any, Optional

import pytest

from compile.errors import BuildError
from compile.job.ledger import ledger_in
from depth.errors import StoreError
from tests.support.jobs import (
    JOB,
    STEPS,
    WITH_STORE,
    command,
    done_before,
    job_folder,
    next_command,
    only_artifact,
    prepare,
    report,
    states,
    stored,
)


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A current folder with weights, no photographs and an empty store."""
    prepare(tmp_path, monkeypatch)


def failing(error: BaseException) -> Any:
    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


BROKEN = {  # step: what breaks there, and the error
    "preflight": ("compile.job.steps.check_operators", BuildError("broken\non purpose")),
    "precision": ("compile.job.steps.choose_precision", BuildError("broken\non purpose")),
    "build": ("compile.targets.onnx.build", BuildError("broken\non purpose")),
    "push": ("compile.job.steps.push", StoreError("broken\non purpose")),
}


@pytest.mark.parametrize("step", BROKEN)
def test_the_report_says_which_step_failed_and_a_rerun_goes_on_there(step: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        name, error = BROKEN[step]
        patch.setattr(name, failing(error))
        ended = command(*WITH_STORE)
    assert (ended.code, ended.error()) == (1, "broken\non purpose\n")
    before = STEPS[: STEPS.index(step)]
    assert states() == {**dict.fromkeys(before, ""), step: "failed"}
    assert report().startswith(
        f"# Compile job: demo for onnx\n\n- State: **FAILED at {step}**: broken\n- Model: `demo`, "
    )
    assert report().endswith("\n```\nbroken\non purpose\n```\n")
    assert stored() == []
    assert command(*next_command()).code == 0
    assert done_before() == before[1:]  # what was fetched is looked at again
    assert "- State: **built and verified**\n" in report()
    assert "FAILED" not in report()
    assert stored() == [only_artifact().identity]


def test_without_weights_nothing_begins() -> None:
    Path("weights.safetensors").unlink()
    ended = command(*WITH_STORE)
    assert (ended.code, ended.error()) == (1, "weights.safetensors: no such file\n")
    assert states() == {"fetch": "failed"}
    assert "**FAILED at fetch**: weights.safetensors: no such file\n" in report()


def test_a_job_never_takes_another_models_weights() -> None:
    arguments = [word for word in JOB if word not in ("--checkpoint", "weights.safetensors")]
    ended = command(*arguments, "--model", "vitg")
    assert ended.code == 1
    assert "no checkpoint of vitg is published; name a file" in ended.error()
    ended = command(*JOB, "--model", "vits")
    assert ended.code == 1
    assert "weights.safetensors" in ended.error()


def test_a_licence_that_was_not_accepted_ends_it_at_the_first_step() -> None:
    arguments = [word for word in JOB if word not in ("--checkpoint", "weights.safetensors")]
    ended = command(*arguments, "--model", "vitl")
    assert ended.code == 2
    assert "--accept-licence" in ended.error()
    assert states() == {"fetch": "failed"}


def test_weights_that_do_not_fit_fail_at_the_build() -> None:
    Path("weights.safetensors").write_bytes(b"no weights")
    ended = command(*WITH_STORE)
    assert ended.code == 1
    assert states()["build"] == "failed"
    assert f"**FAILED at build**: {ended.error().splitlines()[0]}" in report()
    assert [path.name for path in Path("out").iterdir()] == ["jobs"]


def test_a_missing_store_fails_before_the_first_step() -> None:
    shutil.rmtree("store")
    ended = command(*WITH_STORE)
    assert (ended.code, ended.err.count("\n")) == (1, 1)
    assert ended.error().startswith("store: no such folder; create it")
    assert [path.name for path in job_folder().iterdir()] == ["lock"]


def test_one_job_runs_once_at_a_time() -> None:
    assert command(*JOB).code == 0
    with ledger_in(job_folder()):
        ended = command(*WITH_STORE)  # the same job: where it goes does not count
        assert ended.code == 1
        assert "another process runs this job; wait for it" in ended.error()
        assert command(*JOB, "--batch", "2").code == 0
        # Its report is another one's to write.
        assert "no store" in (job_folder_of(1) / "report.md").read_text()
    assert command(*WITH_STORE).code == 0


def job_folder_of(batch: int) -> Path:
    (folder,) = (
        path
        for path in Path("out/jobs").iterdir()
        if f"batches = [{batch}]" in (path / "report.md").read_text()
    )
    return folder


def test_a_job_refuses_a_file_system_without_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fcntl, "flock", failing(OSError(errno.ENOLCK, "No locks available")))
    ended = command(*JOB)
    assert ended.code == 1
    assert ": cannot be locked: No locks available; use another file system" in ended.error()


@pytest.mark.parametrize("planted", ["pipe", "/dev/zero", "elsewhere"])
def test_a_job_opens_only_regular_files_in_its_folder(planted: str) -> None:
    def plant(path: Path) -> None:
        path.unlink()
        os.mkfifo(path) if planted == "pipe" else path.symlink_to(planted)

    assert command(*JOB).code == 0
    plant(job_folder() / "lock")
    ended = command(*JOB)
    assert ended.code == 1
    assert "no folder for the job: " in ended.error()
    assert not (job_folder() / "elsewhere").exists()
    (job_folder() / "lock").unlink()
    plant(job_folder() / "precision.json")
    assert command(*JOB).code == 0
    assert "precision" not in done_before()


def test_a_job_refuses_a_file_in_the_place_of_its_folder() -> None:
    Path("out").touch()
    ended = command(*JOB)
    assert ended.code == 1
    assert ": no folder for the job: " in ended.error()


def test_a_full_disk_fails_at_the_step_that_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = Path.replace

    def replace(self: Path, target: Path) -> Path:
        if target.name == "precision.json":
            raise OSError(errno.ENOSPC, "No space left on device")
        return plain(self, target)

    monkeypatch.setattr(Path, "replace", replace)
    ended = command(*JOB)
    assert ended.code == 1
    assert "precision.json: cannot be written: No space left on device" in ended.error()
    assert states() == {"fetch": "", "preflight": "", "precision": "failed"}


def test_an_interruption_by_hand_is_no_success() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("compile.targets.onnx.build", failing(KeyboardInterrupt()))
        assert command(*JOB).code != 0
    assert "**FAILED at build**: interrupted; run it again, and it goes on" in report()
    assert [path.name for path in Path("out").iterdir()] == ["jobs"]
    assert command(*JOB).code == 0
    assert done_before() == ["preflight", "precision"]


def test_sigterm_is_an_interruption_too_and_leaves_nothing_half_made() -> None:
    def sigterm(*_: object, **__: object) -> None:
        try:
            signal.raise_signal(signal.SIGTERM)
            raise BuildError("went on")
        finally:
            signal.raise_signal(signal.SIGTERM)  # some send it twice
            cleaned_up.append(True)

    unheard: list[int] = []
    cleaned_up: list[bool] = []

    def outside(number: int, _frame: Optional[FrameType]) -> None:
        unheard.append(number)

    before = signal.signal(signal.SIGTERM, outside)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("compile.targets.onnx.build", sigterm)
            assert command(*JOB).code == 128 + signal.SIGTERM
        assert signal.getsignal(signal.SIGTERM) is outside
    finally:
        signal.signal(signal.SIGTERM, before)
    assert cleaned_up
    assert not unheard
    assert "**FAILED at build**: interrupted; run it again, and it goes on" in report()
    assert [path.name for path in Path("out").iterdir()] == ["jobs"]
    assert command(*JOB).code == 0
    assert done_before() == ["preflight", "precision"]


def test_a_target_that_this_machine_cannot_compile_for_fails_first() -> None:
    ended = command(*JOB, "--target", "inf1")
    assert ended.code == 1
    assert "this machine cannot compile for inf1" in ended.error()
    assert not Path("out").exists()
