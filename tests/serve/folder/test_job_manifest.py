from __future__ import annotations

import errno
import fcntl
import json
import logging
import os
from pathlib import Path

import pytest

from depth.maps.result import Focal
from serve.errors import ManifestError
from serve.folder.manifest import MANIFEST, manifest_in
from serve.jobs.entry import Entry, Settings
from tests.support.depth_samples import MADE_BY

SETTINGS = Settings(("png",), False, "", MADE_BY, Focal(525.5, "exif"))


def entry(image: str, reason: str = "") -> Entry:
    status = "failed" if reason else "done"
    return Entry(image, status, "ab", SETTINGS, {"a.png": 3}, reason, (), {"read": 1.5})


def test_the_last_line_of_an_image_counts(tmp_path: Path) -> None:
    with manifest_in(tmp_path / "deep/out", writable=True) as manifest:
        for one in (entry("a", "no luck"), entry("b"), entry("a")):
            manifest.append(one)
        assert manifest.find("a") == entry("a")
    with manifest_in(tmp_path / "deep/out", writable=False) as manifest:
        assert manifest.find("a") == entry("a")
        assert manifest.find("b") == entry("b")
        assert manifest.find("c") is None


def test_names_in_any_bytes_survive(tmp_path: Path) -> None:
    name = os.fsdecode(b"gr\xf6\xdfe \n\xe6\xb7\xb1.jpg")
    with manifest_in(tmp_path, writable=True) as manifest:
        manifest.append(entry(name))
    with manifest_in(tmp_path, writable=True) as manifest:
        assert manifest.find(name) == entry(name)


def test_a_torn_last_line_is_cut_wherever_it_is_torn(tmp_path: Path) -> None:
    with manifest_in(tmp_path, writable=True) as manifest:
        manifest.append(entry("a"))
        manifest.append(entry("b"))
    path = tmp_path / MANIFEST
    whole = path.read_bytes()
    first = len(whole) // 2
    for end in range(first + 1, len(whole)):
        path.write_bytes(whole[:end])
        with manifest_in(tmp_path, writable=False) as manifest:
            assert manifest.find("b") is None
        assert path.read_bytes() == whole[:end], "a reader changes nothing"
        if end % 5 and end + 1 < len(whole):
            continue  # a writer syncs to the disk, which takes its time
        with manifest_in(tmp_path, writable=True) as manifest:
            assert manifest.find("a") == entry("a")
            manifest.append(entry("b"))
        assert path.read_bytes() == whole


@pytest.mark.parametrize(
    "line",
    ["nonsense", "[1]", "{}", '{"format": 1, "image": "a"}', '{"format": 2, "image": 1}', "\0\0"],
)
def test_other_lines_are_ignored_and_left_there(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, line: str
) -> None:
    with manifest_in(tmp_path, writable=True) as manifest:
        manifest.append(entry("a"))
    path = tmp_path / MANIFEST
    before = path.read_bytes() + line.encode() + b"\n"
    path.write_bytes(before)
    with caplog.at_level(logging.WARNING), manifest_in(tmp_path, writable=True) as manifest:
        assert manifest.find("a") == entry("a")
        manifest.append(entry("b"))
        assert manifest.find("b") == entry("b")
    assert path.read_bytes().startswith(before)
    assert "ignored 1 lines" in caplog.text


def test_a_line_that_lacks_something_counts_as_none(tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_text('{"format": 2, "image": "a", "status": "done"}\n')
    with manifest_in(tmp_path, writable=False) as manifest:
        assert manifest.find("a") is None


def test_one_job_at_a_time(tmp_path: Path) -> None:
    with manifest_in(tmp_path, writable=True):
        with (
            pytest.raises(ManifestError, match="another job"),
            manifest_in(tmp_path, writable=True),
        ):
            pass
        with manifest_in(tmp_path, writable=False) as reader:
            assert reader.find("a") is None
    with manifest_in(tmp_path, writable=True) as manifest:
        manifest.append(entry("a"))


def test_a_manifest_that_cannot_be_kept_stops_the_job(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ManifestError, match="permissions"), manifest_in(tmp_path / "file", True):
        pass
    with (
        manifest_in(tmp_path, writable=False) as manifest,
        pytest.raises(ManifestError, match=MANIFEST),
    ):
        manifest.append(entry("a"))
    assert not (tmp_path / MANIFEST).exists()


def test_a_full_disk_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with manifest_in(tmp_path, writable=True) as manifest:
        monkeypatch.setattr(os, "pwrite", lambda *_: 5)
        with pytest.raises(ManifestError, match="disk is full"):
            manifest.append(entry("a"))


def test_without_locks_the_job_goes_on_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with caplog.at_level(logging.WARNING), manifest_in(tmp_path, writable=True) as manifest:
        manifest.append(entry("a"))
        assert manifest.find("a") == entry("a")
    assert "has no locks (No locks available)" in caplog.text


def test_what_is_left_out_is_a_line_if_it_changes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for extensions in ({}, {".ppm": 1, "": 2}, {".ppm": 1, "": 2}, {".ppm": 1}, {}, {}):
        with manifest_in(tmp_path, writable=True) as manifest:
            manifest.note_left_out(extensions)
    lines = [json.loads(line) for line in (tmp_path / MANIFEST).read_text().splitlines()]
    assert [line["left_out"] for line in lines] == [{".ppm": 1, "": 2}, {".ppm": 1}, {}]
    assert caplog.text == "", "such a line is one of this format"
