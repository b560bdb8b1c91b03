"""A fetch: resumed, stopped, killed half way, of changed images, of one job among several."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from depth.errors import InputError, StoreError
from depth.files import write_set
from depth.maps.files import read_depth, read_sidecar
from depth.store.folder import FolderStore
from depth.store.objects import Versioned
from serve.errors import NoImagesError
from serve.fetch import copying
from serve.fetch.place import check_apart, job_folder
from serve.jobs.entry import DONE, FAILED, KEPT, Entry
from serve.jobs.stop import Stop
from tests.serve.s3.conftest import Pair
from tests.support.fetches import differing, fetch, fetch_from, files_in, folder_job, job_of
from tests.support.folder_jobs import close_engines, make_engine
from tests.support.object_jobs import MAKING, data, png, put_images

both = pytest.mark.parametrize("pair", ["folder", "s3"], indirect=True)
IW3 = replace(MAKING, formats=(), preset="iw3")


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    yield
    close_engines()


class Counting(FolderStore):
    """Notes the keys that are read."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.read_keys: list[str] = []

    def read(self, key: str, max_bytes: int) -> Versioned | None:
        self.read_keys.append(key)
        return super().read(key, max_bytes)

    @property
    def depth_files(self) -> list[str]:
        return [key for key in self.read_keys if not key.endswith(".json")]


@both
def test_fetched_results_are_read_and_exported(pair: Pair, tmp_path: Path) -> None:
    put_images(pair.images, 3)
    job_of(pair.source, pair.target, pair.url)
    fetched = fetch(pair.target, tmp_path / "got", pair.url)
    assert fetched.fates == dict.fromkeys(["0/0000.png", "0/0002.png", "1/0001.png"], DONE)
    assert [*fetched.entries["1/0001.png"].outputs] == ["1/0001.png", "1/0001.json"]
    assert read_depth(tmp_path / "got/1/0001.json").depth.values.shape == (21, 30)


def test_what_is_there_is_not_downloaded_again(pair: Pair, tmp_path: Path) -> None:
    put_images(pair.images, 3)
    job_of(pair.source, pair.target, making=IW3)
    store, out = Counting(Path(pair.target)), tmp_path / "got"
    fetch_from(store, out)
    assert len(store.depth_files) == 6
    before = files_in(out)
    (out / "0/depth/0000.png").write_bytes(b"torn")
    (out / "1/iw3_export.yml").unlink()
    (out / "0/0002.json").unlink()
    store.read_keys.clear()
    report = fetch_from(store, out)
    assert report.counts == {DONE: 3}
    assert [key.rpartition(".depth")[2] for key in store.depth_files] == [".png"]
    assert files_in(out) == before
    assert fetch_from(store, out).counts == {KEPT: 3}


def test_a_stopped_fetch_goes_on_and_writes_its_summary_at_the_end(
    pair: Pair, tmp_path: Path
) -> None:
    put_images(pair.images, 60)
    job_of(pair.source, pair.target, making=replace(IW3, preset="3dgs"))
    stop, out = Stop(), tmp_path / "got"

    def enough(_entry: Entry, _total: int) -> None:
        stop.request("a test")

    first = fetch(pair.target, out, on_entry=enough, stop=stop)
    assert (first.report.exit_code, first.report.stopped) == (3, "a test")
    assert 0 < len(first.fates) < 60
    second = fetch(pair.target, out)
    assert second.report.exit_code == 0
    assert second.report.counts[KEPT] >= len(first.fates)
    assert second.report.total == 60


@pytest.mark.parametrize("renamed", [0, 1, 2])
def test_a_fetch_that_was_killed_while_it_replaced_a_result_is_finished(
    pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, renamed: int
) -> None:
    pair.images.write("a.png", png(0))
    job_of(pair.source, pair.target, making=IW3)
    out = tmp_path / "got"
    fetch(pair.target, out)
    pair.images.write("a.png", png(1))
    job_of(pair.source, pair.target, making=IW3)

    def killed(folder: Path, files: Sequence[tuple[str, bytes]]) -> None:
        (folder / files[-1][0]).unlink()
        for name, content in files[:renamed]:
            (folder / name).write_bytes(content)
        raise SystemExit(137)

    monkeypatch.setattr(copying, "write_set", killed)
    with pytest.raises(SystemExit):
        fetch(pair.target, out)
    monkeypatch.setattr(copying, "write_set", write_set)
    assert fetch(pair.target, out).fates == {"a.png": DONE}
    wanted = folder_job(pair.images, tmp_path / "folder", IW3, make_engine())
    assert differing(files_in(out), wanted) == []


@both
def test_of_several_versions_the_newest_is_taken_and_said(
    pair: Pair, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    making = replace(MAKING, formats=("npy",))
    for seed in (3, 1, 2):
        pair.images.write("a.png", png(seed))
        job_of(pair.source, pair.target, pair.url, making)
        if pair.url is None:  # on some file systems dates are coarse
            for path in Path(pair.target).rglob("a.png.*"):
                os.utime(path, (path.stat().st_atime - 10, path.stat().st_mtime - 10))
    wanted = folder_job(pair.images, tmp_path / "folder", making, make_engine())
    fetched = fetch(pair.target, tmp_path / "got", pair.url)
    assert fetched.report.total == 1
    assert "left out 2 of older versions" in caplog.text
    if "same date" not in caplog.text:  # the server's dates are whole seconds
        assert differing(files_in(tmp_path / "got"), wanted) == []


def test_versions_of_one_date_are_named(
    pair: Pair, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for seed in (0, 1):
        pair.images.write("a.png", png(seed))
        job_of(pair.source, pair.target)
    for path in Path(pair.target).rglob("a.png.*"):
        os.utime(path, (1, 1))
    assert fetch(pair.target, tmp_path / "got").fates == {"a.png": DONE}
    assert "a.png: two results have the same date, and " in caplog.text
    pair.images.write("a.png", png(2))
    job_of(pair.source, pair.target)
    caplog.clear()
    assert fetch(pair.target, tmp_path / "got").fates == {"a.png": DONE}
    assert "left out 2 of older versions" in caplog.text
    assert "same date" not in caplog.text


@both
def test_several_jobs_are_listed_and_named(pair: Pair, tmp_path: Path) -> None:
    put_images(pair.images, 1)
    pair.results.write("notes/settings.json", b'{"format": 1}')
    pair.results.write("zebra.txt", b"")
    with pytest.raises(InputError, match="no folder of a job's results"):
        fetch(pair.target, tmp_path / "got", pair.url)
    png_job = job_of(pair.source, pair.target, pair.url)
    assert fetch(pair.target, tmp_path / "only", pair.url).report.exit_code == 0
    npy_job = job_of(pair.source, pair.target, pair.url, replace(MAKING, formats=("npy",)))
    with pytest.raises(InputError, match="results of 2 jobs; name the folder of one job") as raised:
        fetch(pair.target, tmp_path / "got", pair.url)
    for name, kind in ((png_job, "png"), (npy_job, "npy")):
        assert f"\n  {pair.results.name}/{name}  (demo openvino fp32, {kind})" in str(raised.value)
    assert not (tmp_path / "got").exists()
    assert fetch(f"{pair.target}/{npy_job}", tmp_path / "got", pair.url).report.exit_code == 0
    assert set(files_in(tmp_path / "got")) == {"0/0000.npy", "0/0000.json"}


def test_settings_of_another_version_are_refused(pair: Pair, tmp_path: Path) -> None:
    put_images(pair.images, 1)
    key = f"{job_of(pair.source, pair.target)}/settings.json"
    plain = data(pair.results, key)
    for old, new in (
        (b'"format": 1', b'"format": 2'),
        (b'"png"', b'"bmp"'),
        (b'"preview": false', b'"preview": "no"'),
        (b'"target"', b'"preset": "nobody", "target"'),
    ):
        assert old in plain
        pair.results.write(key, plain.replace(old, new, 1))
        with pytest.raises(StoreError, match="take the version that made the results"):
            fetch(pair.target, tmp_path / "got")
    for content in (b"[]", b"{", b'{"format": 1}', b" " * (1 << 21)):
        pair.results.write(key, content)
        with pytest.raises(InputError, match="no folder of a job's results"):
            fetch(pair.target, tmp_path / "got")


def test_a_job_without_results_is_said(pair: Pair, tmp_path: Path) -> None:
    put_images(pair.images, 1)
    folder = job_of(pair.source, pair.target)
    for path in Path(pair.target, folder, "0").iterdir():
        path.unlink()
    with pytest.raises(NoImagesError, match="no results in it yet"):
        fetch(pair.target, tmp_path / "got")


def test_the_folder_is_not_that_of_the_results(pair: Pair, tmp_path: Path) -> None:
    put_images(pair.images, 1)
    folder = job_of(pair.source, pair.target)
    job = job_folder(pair.results)
    (tmp_path / "link").symlink_to(pair.target)
    for place in (pair.target, f"{pair.target}/{folder}/got", tmp_path / "link"):
        for location in (pair.target, f"file://{pair.target}"):
            with pytest.raises(InputError, match="the results lie there"):
                check_apart(location, job, Path(place))
    check_apart(pair.target, job, Path(pair.target, "got"))
    check_apart("s3://bucket", job, Path("bucket"))


def test_files_of_a_user_stay(pair: Pair, tmp_path: Path) -> None:
    for key in ("a.png", "b.png", "c.png"):
        pair.images.write(key, png(1))
    job_of(pair.source, pair.target)
    out = tmp_path / "got"
    out.mkdir()
    (out / "a.png").write_bytes(b"a photograph")
    (out / "b.json").write_bytes(b'{"mine": true}')
    fetched = fetch(pair.target, out)
    assert fetched.fates == {"a.png": FAILED, "b.png": FAILED, "c.png": DONE}
    assert "is no file of a result, and is not replaced" in fetched.entries["a.png"].reason
    assert "b.json" in fetched.entries["b.png"].reason
    assert fetched.report.exit_code == 3
    assert (out / "a.png").read_bytes() == b"a photograph"
    assert (out / "b.json").read_bytes() == b'{"mine": true}'
    assert set(files_in(out)) == {"a.png", "b.json", "c.png", "c.json"}


@contextmanager
def full(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(copying, "write_set", refuse)
        yield


def test_a_full_disk_ends_the_fetch(
    pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_images(pair.images, 3)
    job_of(pair.source, pair.target)
    with full(monkeypatch):
        fetched = fetch(pair.target, tmp_path / "got")
    assert (fetched.fates, fetched.report.exit_code) == ({}, 3)
    assert "full disk" in fetched.report.stopped
    assert fetch(pair.target, tmp_path / "got").report.counts == {DONE: 3}


def test_an_image_with_the_name_of_the_summary_keeps_its_own(pair: Pair, tmp_path: Path) -> None:
    """A preset's file for all images would replace the .json of that image."""
    making = replace(MAKING, formats=(), preset="3dgs")
    pair.images.write("depth_params.jpg", png(1))
    job_of(pair.source, pair.target, making=making)
    fetch(pair.target, tmp_path / "got")
    assert read_sidecar(tmp_path / "got/depth_params.jpg.json").preset is not None
    wanted = folder_job(pair.images, tmp_path / "folder", making, make_engine())
    assert differing(files_in(tmp_path / "got"), wanted) == []
