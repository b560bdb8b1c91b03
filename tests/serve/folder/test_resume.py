"""What a rerun of a folder job keeps and what it makes again, and the manifest that it leaves."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from depth.files import sha256_file
from serve.engine import Engine
from serve.folder.job import run_folder
from serve.folder.manifest import MANIFEST
from serve.folder.request import FolderJob
from serve.jobs.entry import DONE, FAILED, KEPT, TODO, Entry
from serve.shapes import BUCKETS
from tests.support.folder_jobs import make_engine, write_images
from tests.support.hostile import encoded, picture

ONE, OTHER, LAST = "0/0000.png", "1/0001.png", "0/0002.png"
Job = Callable[[FolderJob], None]


@pytest.fixture
def job(tmp_path: Path) -> FolderJob:
    write_images(tmp_path / "images", 3)
    return FolderJob(tmp_path / "images", tmp_path / "out")


def entries(job: FolderJob, engine: Engine | None = None) -> dict[str, Entry]:
    found = []
    run_folder(engine or make_engine(), job, lambda entry, _: found.append(entry))
    return {entry.image: entry for entry in found}


def statuses(job: FolderJob, engine: Engine | None = None) -> list[str]:
    found = entries(job, engine)
    return [found[name].status for name in (ONE, OTHER, LAST)]


def lines(job: FolderJob) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (job.output / MANIFEST).read_text().splitlines()]


def test_the_manifest_says_what_was_done(job: FolderJob) -> None:
    entries(replace(job, formats=("npy", "png"), remark="a remark"))
    line = next(line for line in lines(job) if line["image"] == ONE)
    assert (line["format"], line["status"], line["reason"]) == (2, "done", "")
    assert line["sha256"] == sha256_file(job.input / ONE)
    assert line["settings"]["formats"] == ["npy", "png"]
    assert line["settings"]["remark"] == "a remark"
    assert line["settings"]["provenance"]["artifact"] == "0" * 64
    assert line["settings"]["provenance"]["model_height_px"] == 28
    assert set(line["outputs"]) == {"0/0000.npy", "0/0000.png", "0/0000.json"}
    for name, size_bytes in line["outputs"].items():
        assert (job.output / name).stat().st_size == size_bytes
    assert set(line["timing_ms"]) == {"read", "wait", "network", "write"}
    assert line["finished"].endswith("+00:00")


def test_a_second_run_keeps_everything_and_adds_no_line(job: FolderJob) -> None:
    engine = make_engine()
    assert statuses(job, engine) == [DONE] * 3
    before = (job.output / MANIFEST).read_bytes()
    assert statuses(job, engine) == [KEPT] * 3
    assert engine.library.network.runs == 3
    assert (job.output / MANIFEST).read_bytes() == before


def delete(name: str) -> Job:
    return lambda job: (job.output / name).unlink()


def cut(name: str) -> Job:
    return lambda job: (job.output / name).write_bytes((job.output / name).read_bytes()[:-9])


def new_bytes(job: FolderJob) -> None:
    (job.input / ONE).write_bytes(encoded(picture(20, 30, seed=99), "PNG", compress_level=1))


CHANGES: dict[str, tuple[Job, str]] = {
    "no json": (delete("0/0000.json"), "no result yet"),
    "short json": (cut("0/0000.json"), "0000.json cannot be used: .* not usable JSON"),
    "no depth": (delete("0/0000.png"), "0000.png is missing or not whole"),
    "short depth": (cut("0/0000.png"), "0000.png is missing or not whole"),
    "new bytes": (new_bytes, "the image changed"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_one_that_changed_is_made_again_and_the_dry_run_says_why(
    job: FolderJob, change: str
) -> None:
    entries(job)
    alter, reason = CHANGES[change]
    alter(job)
    todo = entries(replace(job, dry_run=True))
    assert [todo[name].status for name in (ONE, OTHER, LAST)] == [TODO, KEPT, KEPT]
    assert re.search(reason, todo[ONE].reason)
    assert statuses(job) == [DONE, KEPT, KEPT]
    assert statuses(job) == [KEPT] * 3


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"formats": ("npy",)}, "made in other formats"),
        ({"formats": ("png", "npy")}, "made in other formats"),
        ({"remark": "random weights"}, "made with another remark"),
    ],
)
def test_other_settings_make_everything_again(
    job: FolderJob, changes: dict[str, Any], reason: str
) -> None:
    entries(job)
    other = replace(job, **changes)
    todo = entries(replace(other, dry_run=True))
    assert [entry.reason for entry in todo.values()] == [reason] * 3
    assert statuses(other) == [DONE] * 3
    assert statuses(other) == [KEPT] * 3


def test_another_artifact_makes_everything_again(job: FolderJob) -> None:
    entries(job)
    other = make_engine(identity="1" * 64)
    todo = entries(replace(job, dry_run=True), other)
    assert {entry.reason for entry in todo.values()} == {"made with other artifact"}
    assert statuses(job, other) == [DONE] * 3


def test_names_and_times_do_not_matter(job: FolderJob) -> None:
    """An image is known by its bytes: touched, it is kept; another one in its place is not."""
    entries(job)
    shutil.copy(job.input / OTHER, job.input / "swap")
    shutil.copy(job.input / ONE, job.input / OTHER)
    (job.input / "swap").replace(job.input / ONE)
    (job.input / LAST).touch()
    assert statuses(job) == [DONE, DONE, KEPT]


def test_without_the_manifest_results_are_kept_and_it_is_written_again(job: FolderJob) -> None:
    entries(job)
    (job.output / MANIFEST).unlink()
    assert statuses(job) == [KEPT] * 3
    assert {line["image"]: line["status"] for line in lines(job)} == dict.fromkeys(
        (ONE, OTHER, LAST), "done"
    )


def test_a_dry_run_makes_nothing(job: FolderJob) -> None:
    (job.input / "broken.png").write_bytes(b"not a picture")
    found = entries(replace(job, dry_run=True))
    assert {name: entry.status for name, entry in found.items()} == {
        ONE: TODO, OTHER: TODO, LAST: TODO, "broken.png": FAILED,
    }  # fmt: skip
    assert not job.output.exists()


def test_failures_are_tried_again(job: FolderJob) -> None:
    assert statuses(job, make_engine(fails_from=1)) == [FAILED] * 3
    todo = entries(replace(job, dry_run=True))
    assert {entry.reason for entry in todo.values()} == {"failed before: the device is gone"}
    assert statuses(job) == [DONE] * 3
    assert [line["status"] for line in lines(job)] == ["failed"] * 3 + ["done"] * 3


def test_failures_can_be_left_as_they_are(job: FolderJob) -> None:
    statuses(job, make_engine(fails_from=1))
    keep = replace(job, retry_failed=False)
    engine = make_engine()
    found = entries(keep, engine)
    assert {(entry.status, entry.reason) for entry in found.values()} == {
        (FAILED, "the device is gone")
    }
    assert engine.library.network.runs == 0
    assert len(lines(job)) == 3, "nothing new, nothing added"
    new_bytes(job)
    assert statuses(keep, engine) == [DONE, FAILED, FAILED], "other bytes deserve another try"
    assert statuses(keep, make_engine(identity="1" * 64)) == [DONE] * 3


def test_fail_fast_leaves_the_rest(job: FolderJob) -> None:
    write_images(job.input, 30)
    report = run_folder(make_engine(fails_from=5), replace(job, fail_fast=True))
    assert report.counts[FAILED] >= 1
    assert report.left >= 15
    assert (report.exit_code, report.stopped) == (3, "a failure")
    assert run_folder(make_engine(), job).exit_code == 0


def test_a_size_without_a_program_is_to_be_done(job: FolderJob) -> None:
    """`buckets` chooses from the sizes it is given, whatever programs are at hand."""
    entries(job)
    engine = Engine(make_engine().library, BUCKETS, sizes=((28, 42), (42, 28)))
    assert statuses(job, engine) == [KEPT] * 3
    engine = Engine(make_engine().library, BUCKETS, sizes=((56, 84),))
    todo = entries(replace(job, dry_run=True), engine)
    assert {entry.reason for entry in todo.values()} == {"its program 56x84 is not made yet"}


def test_a_stand_in_leaves_the_results_of_other_models(job: FolderJob) -> None:
    entries(job)
    (job.output / "1/0001.json").unlink()
    before = {path: path.read_bytes() for path in job.output.rglob("0/*")}
    stand_in = replace(job, remark="a stand-in", stand_in="vits")
    other = make_engine(identity="1" * 64)
    for dry_run in (True, False):
        found = entries(replace(stand_in, dry_run=dry_run), other)
        reasons = [found[name].reason for name in (ONE, LAST)]
        assert reasons == ["has a result of demo, which vits does not replace"] * 2
        assert [found[name].status for name in (ONE, LAST)] == [FAILED] * 2
    assert found[OTHER].status == DONE, "nothing was there"
    assert {path: path.read_bytes() for path in before} == before
    assert statuses(job) == [KEPT, DONE, KEPT], "what was wanted is made as if nothing had been"
    same = replace(stand_in, stand_in="demo")
    assert statuses(same, other) == [DONE] * 3
    assert statuses(same, other) == [KEPT] * 3


def test_a_name_too_long_for_its_outputs_is_one_failure(
    job: FolderJob, caplog: pytest.LogCaptureFixture
) -> None:
    long = "x" * 251 + ".png"  # with .json it has 256 characters
    shutil.copy(job.input / ONE, job.input / long)
    found = entries(job)
    assert (found[long].status, found[ONE].status) == (FAILED, DONE)
    assert "length of the name" in found[long].reason
    assert not caplog.records, "an error like others, and none that nobody thought of"
