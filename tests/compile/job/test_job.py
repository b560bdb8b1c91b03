"""A compile job from start to end: what it makes, and what a second run does again."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from safetensors.torch import save_file

from compile.build.request import Request
from compile.errors import BuildError
from compile.job.ledger import Ledger
from compile.untrained import untrained_checkpoint
from depth.files import sha256_file
from tests.support.hostile import encoded, picture
from tests.support.jobs import (
    STEPS,
    WITH_STORE,
    command,
    done_before,
    job_folder,
    only_artifact,
    prepare,
    report,
    states,
    stored,
)
from tests.support.networks import DEMO


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder after a job."""
    folder = tmp_path_factory.mktemp("once")
    with pytest.MonkeyPatch.context() as patch:
        prepare(folder, patch)
        ended = command(*WITH_STORE)
        assert (ended.code, ended.out) == (0, f"{only_artifact().folder}\n")
    return folder


@pytest.fixture(name="finished")
def finished_fixture(once: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of that folder as the current one."""
    prepare(tmp_path, monkeypatch)
    shutil.copytree(once, ".", dirs_exist_ok=True)
    return tmp_path


@pytest.fixture(name="no_build")
def no_build_fixture(monkeypatch: pytest.MonkeyPatch) -> None:
    def build(*_: object) -> None:
        pytest.fail("a program was built")

    monkeypatch.setattr("compile.targets.onnx.build", build)


@pytest.mark.usefixtures("finished")
def test_a_job_ends_with_a_verified_artifact_in_the_store_and_a_report() -> None:
    artifact = only_artifact()
    assert artifact.manifest.checkpoint.sha256 == sha256_file(Path("weights.safetensors"))
    assert artifact.manifest.gate.passed
    assert [program.name for program in artifact.manifest.programs] == ["28x42-b1"]
    assert stored() == [artifact.identity]
    assert list(states()) == STEPS
    assert set(states().values()) == {""}
    text = report()
    assert text.startswith("# Compile job: demo for onnx\n\n- State: **built and verified**\n")
    titles = ["Weights", "Preflight", "Precision", "Build, parity and package", "Push"]
    assert [line[3:] for line in text.splitlines() if line.startswith("## ")] == titles
    assert "Not needed: programs of onnx run on a CPU." in text
    assert "\n`fp32`; parity measures" in text
    assert "\n### demo for onnx, fp32\n" in text
    sent_mb = sum(file.size_bytes for file in artifact.manifest.programs[0].files) / 1e6
    assert f"`{artifact.identity}` to `store`: sent {sent_mb:.1f} MB, 0.0 MB were there." in text


@pytest.mark.usefixtures("finished", "no_build")
def test_a_second_run_builds_nothing_and_sends_nothing() -> None:
    before = only_artifact()
    ended = command(*WITH_STORE)
    assert (ended.code, ended.out) == (0, f"{before.folder}\n")
    assert done_before() == ["preflight", "precision", "build"]
    assert "build: done before" in ended.err
    assert ": sent 0.0 MB, " in report()
    assert "\n### demo for onnx, fp32\n" in report()  # of the run that built it
    assert stored() == [only_artifact().identity] == [before.identity]


@pytest.mark.usefixtures("no_build")
def test_a_folder_that_was_moved_with_its_jobs_is_still_done(finished: Path) -> None:
    (finished / "out").rename(finished / "elsewhere")
    ended = command(*WITH_STORE, "--out", "elsewhere")
    assert ended.code == 0
    assert Path(ended.out.strip()).parent == Path("elsewhere")
    assert not (finished / "out").exists()


@pytest.mark.usefixtures("finished", "no_build")
def test_another_store_gets_the_artifact_that_is_there() -> None:
    Path("other").mkdir()
    assert command(*WITH_STORE, "--store", "other").code == 0
    assert stored("other") == [only_artifact().identity]


@pytest.mark.usefixtures("finished")
def test_a_job_builds_changed_weights_again() -> None:
    before = only_artifact()
    save_file(untrained_checkpoint(DEMO, seed=2).state, "weights.safetensors")
    ended = command(*WITH_STORE)
    assert ended.code == 0
    assert done_before() == ["preflight"]
    digest = sha256_file(Path("weights.safetensors"))
    assert f"sha256 `{digest}`" in report()
    assert Path(ended.out.strip()) != before.folder
    assert len(stored()) == 2


@pytest.mark.usefixtures("finished")
def test_photographs_that_were_added_count_in_parity() -> None:
    Path("images/a.png").write_bytes(encoded(picture(), "PNG"))
    assert command(*WITH_STORE).code == 0
    assert done_before() == ["preflight"]
    assert "\n| a.png | " in report()


@pytest.mark.usefixtures("finished")
def test_a_job_builds_a_damaged_artifact_again() -> None:
    before = only_artifact()
    (program,) = before.folder.glob("programs/*")
    program.write_bytes(program.read_bytes()[:-1] + b"?")
    assert command(*WITH_STORE).code == 0
    assert done_before() == ["preflight", "precision"]
    assert only_artifact().identity == before.identity
    assert ": sent 0.0 MB, " in report()


@pytest.mark.usefixtures("finished")
def test_a_job_builds_an_artifact_that_is_gone_again() -> None:
    before = only_artifact()
    shutil.rmtree(before.folder)
    assert command(*WITH_STORE).code == 0
    assert only_artifact().identity == before.identity


@pytest.mark.usefixtures("finished")
@pytest.mark.parametrize(
    "changed", ["compile.build.package.source_sha256", "compile.targets.onnx.versions"]
)
def test_other_code_or_another_compiler_does_every_step_again(
    monkeypatch: pytest.MonkeyPatch, changed: str
) -> None:
    before = only_artifact()
    other = "f" * 64 if changed.endswith("sha256") else {"torch": "9"}
    monkeypatch.setattr(changed, lambda *_: other)
    ended = command(*WITH_STORE)
    assert ended.code == 0
    assert done_before() == []
    assert Path(ended.out.strip()) != before.folder


@pytest.mark.usefixtures("finished")
@pytest.mark.parametrize("damage", [b"", b"{}", b"\xff", b'{"inputs": 1}'])
def test_a_damaged_entry_counts_as_none(damage: bytes) -> None:
    (job_folder() / "precision.json").write_bytes(damage)
    assert command(*WITH_STORE).code == 0
    assert done_before() == ["preflight", "build"]
    assert Ledger(job_folder()).get("precision", "other inputs") is None


@pytest.mark.usefixtures("finished")
def test_a_job_sends_again_what_the_store_has_lost() -> None:
    shutil.rmtree("store")
    Path("store").mkdir()
    assert command(*WITH_STORE).code == 0
    assert done_before() == ["preflight", "precision", "build"]
    assert stored() == [only_artifact().identity]


@pytest.mark.usefixtures("finished")
def test_a_time_limit_and_every_shape_reach_the_build(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Request] = []

    def build(request: Request, *_: object) -> None:
        asked.append(request)
        raise BuildError("not today")

    monkeypatch.setattr("compile.build.build.build", build)
    more = ("--size", "56x70", "--batch", "2", "--batch", "1", "--split", "--timeout-s", "90")
    assert command(*WITH_STORE, *more).code == 1
    (request,) = asked
    assert list(request.sizes) == [(28, 42), (56, 70)]
    assert list(request.batches) == [2, 1]
    assert request.split
    assert not request.force
    assert request.settings.timeout_s == 90.0
