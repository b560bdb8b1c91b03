"""Videos as folder jobs: frames in order, resumable, each moved onto the frame before."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Optional

import numpy as np
import pytest

from depth.errors import ImageError
from depth.family import CONFIDENCE, DEPTH
from depth.maps.files import read_depth
from depth.maps.result import Result
from serve.folder.clean import clean
from serve.folder.frames import is_video, run_frames
from serve.folder.job import run_folder
from serve.folder.request import FolderJob
from serve.jobs.entry import DONE, FAILED, KEPT, TODO, Entry, Report
from serve.jobs.stop import Stop
from serve.panoramas.asked import PanoramaAsked
from tests.support.panoramas import engine_of, write_panorama
from tests.support.videos import write_video

SIZE = (32, 64)
MAPS = (DEPTH, CONFIDENCE)
Followed = list[tuple[Result, Optional[Result]]]


def run(
    folder: Path, followed: Optional[Followed] = None, until: int = 1000, **options: Any
) -> tuple[Report, list[Entry]]:
    """The job over film.mp4, stopped after `until` frames."""
    entries: list[Entry] = []
    stop = Stop()

    def on_entry(entry: Entry, _total: int) -> None:
        entries.append(entry)
        if len(entries) >= until:
            stop.request("enough")

    def follow(result: Result, before: Optional[Result]) -> Result:
        if followed is not None:
            followed.append((result, before))
        return result

    asked = options.pop("asked", PanoramaAsked("cube6"))
    fails_from = options.pop("fails_from", float("inf"))
    job = FolderJob(folder / "film.mp4", folder / "out", maps=MAPS, **options)
    engine, _ = engine_of(asked=asked, fails_from=fails_from)
    with engine:
        report = run_frames(engine, job, 1000, follow, on_entry, stop)
    return report, entries


@pytest.fixture(name="folder")
def folder_fixture(tmp_path: Path) -> Path:
    write_video(tmp_path / "film.mp4", 5, sizes=(SIZE,))
    return tmp_path


def test_each_frame_has_files_named_by_its_number(folder: Path) -> None:
    followed: Followed = []
    report, entries = run(folder, followed)
    assert report.exit_code == 0
    assert report.counts == {DONE: 5}
    assert [entry.image for entry in entries] == [f"film.mp4/{n:06d}" for n in range(5)]
    found = read_depth(folder / "out/film/000003.json")
    assert found.projection
    assert found.depth.values.shape == SIZE
    assert [before for _, before in followed] == [None, *(result for result, _ in followed[:-1])]


def test_a_rerun_goes_on_where_a_run_was_stopped(folder: Path) -> None:
    report, _ = run(folder, until=2)
    assert (report.exit_code, report.left, report.stopped) == (3, 3, "enough")
    followed: Followed = []
    report, _ = run(folder, followed)
    assert report.counts == {KEPT: 2, DONE: 3}
    before = followed[0][1]
    assert before
    assert np.allclose(
        before.depth.values, read_depth(folder / "out/film/000001.json").depth.values, atol=1e-4
    )
    (folder / "out/film/000004.png").write_bytes(b"damaged")
    assert run(folder)[0].counts == {KEPT: 4, DONE: 1}
    changed, entries = run(folder, asked=PanoramaAsked("tangent10"), dry_run=True)
    assert changed.counts == {TODO: 5}
    assert entries[0].reason == "made with other steps"


def test_a_frame_that_fails_is_an_entry_and_stops_no_other(folder: Path) -> None:
    report, entries = run(folder, fails_from=10)
    assert report.counts[DONE] >= 1
    assert report.counts[FAILED] >= 1
    assert report.exit_code == 3
    failed = next(entry for entry in entries if entry.status == FAILED)
    assert "the device is gone" in failed.reason
    assert run(folder, fails_from=1, fail_fast=True)[0].left >= 1


def test_frames_of_another_shape_fail_with_the_reason(tmp_path: Path) -> None:
    write_video(tmp_path / "film.mp4", 2, sizes=((48, 64),))
    report, entries = run(tmp_path)
    assert report.exit_code == 1
    assert "twice as wide as high" in entries[0].reason


def test_what_is_no_video_is_refused(tmp_path: Path) -> None:
    (tmp_path / "film.mp4").write_bytes(b"no video")
    assert is_video(tmp_path / "film.mp4")
    assert not is_video(tmp_path / "other.mp4")
    with pytest.raises(ImageError, match="no video that can be read"):
        run(tmp_path)


def test_the_frames_are_cleaned_as_images_are(folder: Path) -> None:
    run(folder, preset="cube-faces")
    assert (folder / "out/film/cube/images/front/000000.jpg").is_file()
    assert not [fate for fate in clean(folder / "out") if fate.left]
    assert list((folder / "out").iterdir()) == []


def test_a_folder_of_panoramas_is_an_ordinary_folder_job(tmp_path: Path) -> None:
    write_panorama(tmp_path / "in/a/room.png")
    write_panorama(tmp_path / "in/b.png", 40)
    (tmp_path / "in/bad.png").write_bytes(b"no image")

    def once() -> tuple[Report, dict[str, Entry]]:
        found: dict[str, Entry] = {}
        options: dict[str, Any] = {"maps": MAPS, "preset": "cube-faces", "formats": ("png",)}
        job = FolderJob(tmp_path / "in", tmp_path / "out", **options)
        engine, _ = engine_of()
        with engine:
            report = run_folder(engine, job, lambda entry, _: found.update({entry.image: entry}))
        return report, found

    report, found = once()
    assert (report.exit_code, report.counts) == (3, {DONE: 2, FAILED: 1})
    assert len([name for name in found["b.png"].outputs if name.startswith("cube/")]) == 13
    assert once()[0].counts == {KEPT: 2, FAILED: 1}
    said = json.loads((tmp_path / "out/b.json").read_text())
    assert len(said["projection"]["views"]) == 6
    (tmp_path / "out/cube/images/up/b.jpg").unlink()
    assert once()[0].counts == {KEPT: 1, DONE: 1, FAILED: 1}
