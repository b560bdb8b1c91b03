"""Folder jobs after a power cut, on a full disk, and beside links, pipes and left-over files."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from depth.maps.files import read_depth
from serve.errors import ManifestError
from serve.folder.flat.job import run_flat
from serve.folder.flat.pictures import PictureJob
from serve.folder.job import run_folder
from serve.folder.manifest import MANIFEST, manifest_in
from serve.folder.request import FolderJob
from serve.jobs import lines as manifests
from serve.jobs.entry import DONE, KEPT, TODO, Entry, Report
from serve.jobs.screen import closing
from tests.support.folder_jobs import make_engine, write_images

ONE, COUNT = "0/0000.png", 24


@pytest.fixture
def job(tmp_path: Path) -> FolderJob:
    write_images(tmp_path / "images", COUNT)
    return FolderJob(tmp_path / "images", tmp_path / "out", formats=("png", "npy"), preview=True)


def entries(job: FolderJob) -> dict[str, Entry]:
    found: dict[str, Entry] = {}
    run_folder(make_engine(), job, lambda entry, _: found.update({entry.image: entry}))
    return found


def outputs(job: FolderJob) -> dict[str, bytes]:
    paths = [path for path in job.output.rglob("*") if path.is_file() and path.name != MANIFEST]
    return {path.relative_to(job.output).as_posix(): path.read_bytes() for path in paths}


@pytest.mark.parametrize("name", ["0/0000.png", "0/0000.npy", "0/0000.json"])
def test_zeros_of_the_right_size_are_made_again(job: FolderJob, name: str) -> None:
    """What a power cut leaves of a file that was not on the disk yet."""
    entries(job)
    before = outputs(job)
    (job.output / name).write_bytes(b"\0" * len(before[name]))
    assert [e.image for e in entries(replace(job, dry_run=True)).values() if e.status == TODO] == [
        ONE
    ]
    found = entries(job)
    assert {image for image, entry in found.items() if entry.status == DONE} == {ONE}
    assert outputs(job) == before


@pytest.mark.parametrize("name", ["0/0000.png", "0/0000.preview.jpg", "0/0000.json"])
def test_files_that_somebody_deletes_meanwhile_are_missed_at_the_end(
    job: FolderJob, name: str
) -> None:
    def delete(entry: Entry, _: int) -> None:
        if entry.image == ONE:
            (job.output / name).unlink()

    for _ in ("made", "kept"):
        report = run_folder(make_engine(), job, delete)
        assert (report.gone, report.exit_code) == (1, 3)
        assert closing(report, 1.0).endswith("files of 1 were deleted meanwhile")
        entries(job)
    (job.output / name).unlink()
    report = run_folder(make_engine(), job)
    assert (report.gone, report.exit_code, report.counts[DONE]) == (0, 0, name[-3:] != "jpg")


def test_a_manifest_that_ends_in_zeros_is_cut(job: FolderJob) -> None:
    entries(job)
    path = job.output / MANIFEST
    before = path.read_bytes()
    path.write_bytes(before + b"\0" * 5000)
    assert {entry.status for entry in entries(job).values()} == {KEPT}
    assert path.read_bytes() == before


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of what is forced onto the disk."""
    found: list[str] = []
    sync = os.fsync

    def noted(descriptor: int) -> None:
        found.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    return found


def test_lines_of_the_manifest_are_on_the_disk_soon_and_at_the_end(
    tmp_path: Path, synced: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manifests, "_SYNC_LINES", 10)
    with manifest_in(tmp_path / "out", writable=True) as manifest:
        assert synced == [tmp_path.name, "out"]
        for number in range(25):
            manifest.append(Entry(str(number), DONE))
        assert synced[2:] == [MANIFEST] * 2
        monkeypatch.setattr(manifests, "_SYNC_S", 0.0)
        manifest.append(Entry("late", DONE))
        assert synced[2:] == [MANIFEST] * 3
        monkeypatch.setattr(manifests, "_SYNC_S", 60.0)
        manifest.append(Entry("last", DONE))
    assert synced[2:] == [MANIFEST] * 4


def test_a_disk_that_takes_nothing_more_is_said_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    def keep() -> None:
        with manifest_in(tmp_path, writable=True) as manifest:
            manifest.append(Entry("a", DONE))
            monkeypatch.setattr(os, "fsync", broken)

    with pytest.raises(ManifestError, match="Input/output error"):
        keep()


@pytest.fixture
def full_after(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Sets how many more temporary files fit on the disk."""
    room, sync = [10**6], os.fsync

    def full(descriptor: int) -> None:
        if Path(f"/proc/self/fd/{descriptor}").readlink().suffix == ".tmp":
            room[0] -= 1
            if room[0] < 0:
                raise OSError(errno.ENOSPC, "No space left on device")
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    return lambda files: room.__setitem__(0, files)


def test_a_full_disk_ends_the_job_and_a_rerun_finishes_it(
    job: FolderJob, full_after: Callable[[int], None]
) -> None:
    engine = make_engine()
    full_after(20)
    report = run_folder(engine, job)
    done = report.counts[DONE]
    assert (done + report.left, report.exit_code) == (COUNT, 3)
    assert "a full disk" in report.stopped
    assert "No space left on device" in report.stopped
    assert engine.library.network.runs < COUNT  # type: ignore[attr-defined]
    assert len(outputs(job)) == 4 * done
    full_after(10**6)
    found = entries(job)
    assert (
        sorted(entry.status for entry in found.values()) == [DONE] * (COUNT - done) + [KEPT] * done
    )


def test_a_full_disk_ends_a_job_of_pictures(
    job: FolderJob, full_after: Callable[[int], None]
) -> None:
    full_after(2)
    pictures = PictureJob(job.input, job.output, pred_only=True, grayscale=True)
    report = run_flat(make_engine(), pictures, lambda *_: None)
    assert (report.counts[DONE], report.left, report.exit_code) == (2, COUNT - 2, 3)


def test_a_manifest_that_takes_no_more_lines_ends_the_job(
    job: FolderJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "pwrite", lambda *_: 5)
    report = run_folder(make_engine(duration_s=0.05), job)
    assert (report.exit_code, report.counts[DONE] + report.left) == (3, COUNT)
    assert report.left > 0
    assert "disk is full" in report.stopped


def test_a_manifest_that_lacks_only_the_last_line_is_an_error(
    job: FolderJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in sorted(job.input.rglob("*.png"))[1:]:
        path.unlink()
    monkeypatch.setattr(os, "pwrite", lambda *_: 5)
    with pytest.raises(ManifestError, match="disk is full"):
        run_folder(make_engine(), job)


def test_a_job_removes_what_a_killed_job_left(job: FolderJob) -> None:
    left = [job.output / "0" / ".depth-1.tmp", job.output / "1" / ".depth-2.tmp"]
    for path in left:
        path.parent.mkdir(parents=True)
        path.write_bytes(b"half")
    entries(replace(job, dry_run=True))
    assert all(path.exists() for path in left)
    entries(job)
    assert not list(job.output.rglob("*.tmp"))


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_manifest_that_is_a_link_is_refused(job: FolderJob, dry_run: bool) -> None:
    job.output.mkdir()
    precious = job.output.parent / "precious"
    precious.write_text("a line\nand half of another")
    (job.output / MANIFEST).symlink_to(precious)
    with pytest.raises(ManifestError, match="a link, which is not followed here; move it away"):
        run_folder(make_engine(), replace(job, dry_run=dry_run))
    assert precious.read_text() == "a line\nand half of another"


def test_a_manifest_that_is_a_pipe_is_refused(job: FolderJob) -> None:
    job.output.mkdir()
    os.mkfifo(job.output / MANIFEST)
    with pytest.raises(ManifestError, match="not a regular file; move it away"):
        run_folder(make_engine(), job)


def test_a_file_of_something_else_is_not_cut(job: FolderJob) -> None:
    job.output.mkdir()
    (job.output / MANIFEST).write_bytes(b"x" * (2 << 20))
    with pytest.raises(ManifestError, match="is not the log of a job; move it away"):
        run_folder(make_engine(), job)
    assert (job.output / MANIFEST).stat().st_size == 2 << 20


@pytest.mark.parametrize("name", ["0/0000.png", "0/0000.npy", "0/0000.json"])
def test_pipes_and_devices_in_place_of_results_are_replaced(job: FolderJob, name: str) -> None:
    entries(job)
    before = outputs(job)
    for make in (os.mkfifo, lambda path: path.symlink_to("/dev/zero")):
        (job.output / name).unlink()
        make(job.output / name)
        assert entries(job)[ONE].status == DONE
        assert outputs(job) == before


def test_fewer_formats_keep_all_files(job: FolderJob) -> None:
    entries(job)
    before = outputs(job)
    fewer = replace(job, formats=("png",), preview=False)
    found = entries(fewer)
    assert {entry.status for entry in found.values()} == {KEPT}
    assert list(found[ONE].outputs) == [
        *("0/0000.png", "0/0000.npy", "0/0000.preview.jpg", "0/0000.json"),
    ]
    assert outputs(job) == before
    read_depth(job.output / "0/0000.npy")
    lines = (job.output / MANIFEST).read_text().splitlines()
    assert json.loads(lines[-1])["settings"]["formats"] == ["png"]


def test_a_damaged_file_that_is_not_asked_for_counts_too(job: FolderJob) -> None:
    """The .json lists it, so it would be read."""
    entries(job)
    (job.output / "0/0000.npy").write_bytes(b"")
    fewer = replace(job, formats=("png",), preview=False)
    reasons = {e.image: e.reason for e in entries(replace(fewer, dry_run=True)).values()}
    assert reasons[ONE] == "0000.npy is missing or not whole"


def test_a_list_of_images_that_is_a_pipe_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "list.txt")
    job = PictureJob(tmp_path / "list.txt", tmp_path / "out", pred_only=True, grayscale=True)
    with pytest.raises(ValueError, match="cannot be read as a list of files: .*not a regular"):
        run_flat(make_engine(), job, lambda *_: None)


def test_a_line_of_a_list_ends_only_where_a_line_ends(tmp_path: Path) -> None:
    odd = tmp_path / "a\u2028b\x85c.png"
    write_images(tmp_path / "images", 1)
    (tmp_path / "images" / ONE).rename(odd)
    (tmp_path / "list.txt").write_bytes(f"{odd}\r\n\r\n{odd}\n".encode("utf-8-sig"))
    job = PictureJob(tmp_path / "list.txt", tmp_path / "out", pred_only=True, grayscale=True)
    report: Report = run_flat(make_engine(), job, lambda *_: None)
    assert (report.total, report.counts[DONE]) == (1, 1)
