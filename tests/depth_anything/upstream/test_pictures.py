"""Upstream's pictures: one for every image, under a name of its own, whole or not at all."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from depth.maps import png
from serve.folder.flat.job import run_flat
from serve.folder.flat.pictures import PictureJob
from serve.jobs.entry import DONE, FAILED, Entry, Report
from tests.support.folder_jobs import make_engine, write_images
from tests.support.hostile import encoded, picture

PNG = encoded(picture(), "PNG")


def run(img_path: Path, outdir: Path) -> tuple[Report, list[Entry]]:
    found: list[Entry] = []
    job = PictureJob(img_path, outdir, pred_only=False, grayscale=False)
    return run_flat(make_engine(), job, lambda entry, _: found.append(entry)), found


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def put(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(PNG)


def test_names_of_folders_keep_same_names_apart(tmp_path: Path) -> None:
    put(tmp_path / "in", "a/b_c.png", "a_b/c.png", "z/c.png", "z/A_B_C.PNG")
    report, found = run(tmp_path / "in", tmp_path / "out")
    assert names(tmp_path / "out") == ["a_b_c-2.png", "a_b_c.png", "z_A_B_C.png", "z_c.png"]
    assert report.counts[DONE] == len({tuple(entry.outputs) for entry in found}) == 4


def test_a_path_through_a_parent_makes_no_hidden_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path / "photos", "a/x.png", "b/x.png")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    run(Path("../photos"), Path("out"))
    assert names(Path("out")) == ["a_x.png", "b_x.png"]
    Path("list.txt").write_text("../photos/a/x.png\n../photos/b/x.png\n../photos/b/x.png\n")
    report, _ = run(Path("list.txt"), Path("listed"))
    assert names(Path("listed")) == ["photos_a_x.png", "photos_b_x.png"]
    assert report.total == 2, "an image that is listed twice is one"


def test_what_cannot_be_written_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_images(tmp_path / "in", 2)
    (tmp_path / "out/0000.png").mkdir(parents=True)
    report, found = run(tmp_path / "in", tmp_path / "out")
    assert (report.counts[DONE], report.counts[FAILED]) == (1, 1)
    (failed,) = (entry for entry in found if entry.status == FAILED)
    assert "0000.png: cannot be written: " in failed.reason
    assert names(tmp_path / "out") == ["0000.png", "0001.png"]

    def full(_pixels: object) -> bytes:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(png, "encode", full)
    report, found = run(tmp_path / "in", tmp_path / "full")
    assert report.counts[FAILED] == 2
    assert not (tmp_path / "full").exists()


def test_a_long_name_is_written_if_the_disk_takes_it(tmp_path: Path) -> None:
    put(tmp_path / "in", "x" * 251 + ".png")
    assert run(tmp_path / "in", tmp_path / "out")[0].exit_code == 0
