"""Previews of a folder job: made with the result, or added to it without the network."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from depth.maps.files import not_whole, read_sidecar
from serve.engine import Engine
from serve.folder.job import run_folder
from serve.folder.request import FolderJob
from serve.jobs.entry import DONE, FAILED, KEPT, TODO, Entry
from tests.support.folder_jobs import make_engine, write_images

ONE = "0/0000.preview.jpg"


@pytest.fixture
def job(tmp_path: Path) -> FolderJob:
    write_images(tmp_path / "images", 3)
    return FolderJob(tmp_path / "images", tmp_path / "out")


def entries(job: FolderJob, engine: Engine) -> list[Entry]:
    found = []
    run_folder(engine, job, lambda entry, _: found.append(entry))
    return found


def statuses(job: FolderJob, engine: Engine) -> list[str]:
    return [entry.status for entry in entries(job, engine)]


def depth_files(job: FolderJob) -> dict[Path, tuple[int, bytes]]:
    return {
        path: (path.stat().st_mtime_ns, path.read_bytes()) for path in job.output.rglob("*.png")
    }


def test_results_without_previews_get_them_and_stay(job: FolderJob) -> None:
    engine = make_engine()
    entries(job, engine)
    before = depth_files(job)
    other = replace(job, preview=True)
    todo = entries(replace(other, dry_run=True), engine)
    assert {(entry.status, entry.reason) for entry in todo} == {
        (TODO, "its preview is missing; its depth stays as it is")
    }
    assert not list(job.output.rglob("*.jpg")), "a dry run writes nothing"
    kept = entries(other, engine)
    assert [entry.status for entry in kept] == [KEPT] * 3
    assert engine.library.network.runs == 3
    assert depth_files(job) == before
    for entry in kept:
        assert [name.partition(".")[2] for name in entry.outputs] == ["png", "preview.jpg", "json"]
        for name, size_bytes in entry.outputs.items():
            assert (job.output / name).stat().st_size == size_bytes
    lines = (job.output / "depth-report.jsonl").read_text().splitlines()
    assert [ONE in json.loads(line)["outputs"] for line in lines].count(True) == 1
    written = {path: path.stat().st_mtime_ns for path in job.output.rglob("*.jpg")}
    assert statuses(other, engine) == [KEPT] * 3
    assert statuses(job, engine) == [KEPT] * 3, "a rerun without previews keeps them too"
    assert written == {path: path.stat().st_mtime_ns for path in job.output.rglob("*.jpg")}


@pytest.mark.parametrize("wanted", [True, False])
def test_a_damaged_preview_is_drawn_again(job: FolderJob, wanted: bool) -> None:
    engine = make_engine()
    entries(replace(job, preview=True), engine)
    whole = (job.output / ONE).read_bytes()
    (job.output / ONE).write_bytes(b"\0" * len(whole))
    before = depth_files(job)
    assert statuses(replace(job, preview=wanted), engine) == [KEPT] * 3
    again = cv2.imread(str(job.output / ONE)).astype(int)
    assert np.abs(again - cv2.imdecode(np.frombuffer(whole, np.uint8), 1)).mean() < 1
    assert not_whole(read_sidecar(job.output / "0/0000.json"), job.output / "0", []) == ""
    assert (depth_files(job), engine.library.network.runs) == (before, 3)


def test_a_preview_that_cannot_be_drawn_makes_the_image_again(
    job: FolderJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    from depth.errors import DepthFileError

    def refused(*_: object) -> None:
        raise DepthFileError("the disk refuses")

    engine = make_engine()
    entries(job, engine)
    monkeypatch.setattr("serve.folder.outputs.add_preview", refused)
    assert statuses(replace(job, preview=True), engine) == [DONE] * 3


def test_a_damaged_depth_file_is_made_again_with_its_preview(job: FolderJob) -> None:
    engine = make_engine()
    entries(job, engine)
    (job.output / "0/0000.png").write_bytes(b"")
    found = {entry.image: entry.status for entry in entries(replace(job, preview=True), engine)}
    assert (found.pop("0/0000.png"), set(found.values())) == (DONE, {KEPT})


def test_failures_that_are_kept_do_not_depend_on_previews(job: FolderJob) -> None:
    entries(job, make_engine(fails_from=1))
    keep = replace(job, retry_failed=False, preview=True)
    assert {entry.status for entry in entries(keep, make_engine())} == {FAILED}


@pytest.mark.parametrize("preview", [True, False])
def test_previews_do_not_change_the_names_of_results(tmp_path: Path, preview: bool) -> None:
    images = tmp_path / "images"
    write_images(images, 1)
    for name in ("x.png", "x.preview.png", "x.preview.jpg.png"):
        (images / "0/0000.png").with_name(name).write_bytes((images / "0/0000.png").read_bytes())
    found = entries(FolderJob(images, tmp_path / "out", preview=preview), make_engine())
    assert {next(iter(entry.outputs)) for entry in found} == {
        "0/0000.png", "0/x.png", "0/x.preview.png", "0/x.preview.jpg.png",
    }  # fmt: skip
