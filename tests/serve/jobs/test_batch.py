"""Every image file is read once, some at a time, and work goes on while others are read."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from depth.artifact.manifest import Artifact
from depth.artifact.program import ProgramKey
from depth.images.read import ImageFile
from depth.sizes import Size
from serve.engine import Engine
from serve.errors import NoProgramError
from serve.folder.flat.job import run_flat
from serve.folder.flat.pictures import PictureJob
from serve.folder.job import run_folder
from serve.folder.request import FolderJob
from serve.jobs import batch
from serve.jobs.entry import DONE, FAILED, KEPT, TODO, Entry
from serve.jobs.threads import ahead
from serve.library import Library
from tests.support.engines import Programs
from tests.support.folder_jobs import make_engine, write_images
from tests.support.hostile import encoded, picture
from tests.support.manifests import LOWER_28, made_artifact, made_manifest
from tests.support.opened import opens


def job_of(folder: Path, count: int) -> FolderJob:
    write_images(folder / "in", count)
    return FolderJob(folder / "in", folder / "out")


def run(job: FolderJob, engine: Engine) -> list[Entry]:
    found: list[Entry] = []
    run_folder(engine, job, lambda entry, _: found.append(entry))
    return found


def statuses(found: Sequence[Entry]) -> dict[str, int]:
    return {status: sum(e.status == status for e in found) for status in {e.status for e in found}}


def test_every_image_is_opened_once_whatever_becomes_of_it(tmp_path: Path) -> None:
    job = job_of(tmp_path, 4)
    (job.input / "torn.png").write_bytes((job.input / "0/0000.png").read_bytes()[:-40])
    (job.input / "no.png").write_bytes(b"nothing")
    images = list(job.input.rglob("*.png"))
    again = {DONE: 0, KEPT: 4, TODO: 0, FAILED: 2}
    for asked, fails_from, expected in (
        (replace(job, dry_run=True), np.inf, {TODO: 4, FAILED: 2}),
        (job, 1, {FAILED: 6}),
        (replace(job, retry_failed=False), np.inf, {FAILED: 6}),
        (job, np.inf, {DONE: 4, FAILED: 2}),
        (job, np.inf, {name: count for name, count in again.items() if count}),
        (replace(job, stand_in="vits"), np.inf, {FAILED: 6}),
        (replace(job, formats=("npy",)), np.inf, {DONE: 4, FAILED: 2}),
    ):
        with opens() as opened:
            found = run(asked, make_engine(fails_from=fails_from))
        assert statuses(found) == expected
        assert {path.name: opened.of(path) for path in images} == dict.fromkeys(
            (path.name for path in images), 1
        ), expected
        assert all(entry.sha256 for entry in found)


def test_pictures_open_every_image_once(tmp_path: Path) -> None:
    write_images(tmp_path / "in", 3)
    job = PictureJob(tmp_path / "in", tmp_path / "out", pred_only=False, grayscale=False)
    with opens() as opened:
        run_flat(make_engine(), job, lambda *_: None)
    assert [opened.of(path) for path in (tmp_path / "in").rglob("*.png")] == [1] * 3


def test_the_counter_sees_every_way_of_opening(tmp_path: Path) -> None:
    """The failing side of the tests above."""
    path = tmp_path / "a"
    path.write_bytes(b"a")
    with opens() as opened:
        path.read_bytes()
        with open(path, "rb"):  # noqa: PTH123
            pass
        ImageFile.read(path)
    assert opened.of(path) == 3
    assert opened.of(tmp_path / "b") == 0


def chunked(monkeypatch: pytest.MonkeyPatch, job: FolderJob, images: int) -> list[Path]:
    """Let a chunk hold `images` images. Returns their files in the order of reading."""
    paths = sorted(job.input.rglob("*.png"))
    largest = max(path.stat().st_size for path in paths)
    monkeypatch.setattr(batch, "CHUNK_BYTES", images * largest)
    return paths


class Files:
    """Image files that are in memory, of all that are read."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.alive = self.most = self.read = 0
        self._lock = threading.Lock()
        files = self

        class Counted(ImageFile):
            def __init__(self, data: bytes, name: str) -> None:
                super().__init__(data, name)
                with files._lock:
                    files.read += 1
                    files.alive += 1
                    files.most = max(files.most, files.alive)

            def __del__(self) -> None:
                with files._lock:
                    files.alive -= 1

            @staticmethod
            def read(path: Path) -> ImageFile:
                return Counted(path.read_bytes(), str(path))

        monkeypatch.setattr(batch, "ImageFile", Counted)


@pytest.mark.parametrize("dry_run", [False, True])
def test_memory_does_not_grow_with_the_number_of_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dry_run: bool
) -> None:
    job = replace(job_of(tmp_path, 90), dry_run=dry_run)
    chunked(monkeypatch, job, 5)
    files = Files(monkeypatch)
    assert statuses(run(job, make_engine())) == {TODO if dry_run else DONE: 90}
    assert files.read == 90
    # A chunk that is worked on, the next one, one that waits to be taken, and what runs.
    assert files.most <= 3 * 6 + 8
    assert files.alive == 0


def test_a_file_larger_than_a_chunk_is_a_chunk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = job_of(tmp_path, 4)
    monkeypatch.setattr(batch, "CHUNK_BYTES", 1)
    assert statuses(run(job, make_engine())) == {DONE: 4}
    (job.input / "gone.png").symlink_to("nowhere")
    assert statuses(run(job, make_engine())) == {KEPT: 4, FAILED: 1}


class Built(Library):
    """Makes any program, and remembers for which sizes it was asked at once."""

    def __init__(self) -> None:
        self.asked: list[set[Size]] = []

        def build(sizes: Sequence[Size]) -> list[Artifact]:
            self.asked.append(set(sizes))
            return [made_artifact(made_manifest([ProgramKey(*size, 1) for size in sizes]))]

        super().__init__([], build)


def test_programs_are_made_for_a_chunk_at_once_and_never_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shapes = [(28, 28), (28, 56), (56, 28), (28, 28), (28, 84), (28, 56), (84, 28), (28, 28)]
    (tmp_path / "in").mkdir()
    for index, shape in enumerate(shapes):
        data = encoded(picture(*shape, seed=index), "BMP")
        (tmp_path / "in" / f"{index}.bmp").write_bytes(data.ljust(9_000, b"\0"))
    library = Built()
    monkeypatch.setattr("serve.backend.open_runtime", Programs())
    monkeypatch.setattr(batch, "CHUNK_BYTES", 4 * 9_000)
    with Engine(library, size_rule=LOWER_28) as engine:
        job = FolderJob(tmp_path / "in", tmp_path / "out")
        assert statuses(run(job, engine)) == {DONE: 8}
    assert library.asked == [{(28, 28), (28, 56), (56, 28)}, {(28, 84), (84, 28)}]


def test_no_core_waits_for_a_chunk_of_known_sizes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first image of the second chunk runs while the last one of the first is not finished."""
    job = job_of(tmp_path, 8)
    chunked(monkeypatch, job, 4)
    engine = make_engine()
    seen: list[str] = []
    held = threading.Event()
    prepare = engine.prepare

    def slow(source, **options):
        with threading.Lock():
            seen.append(source.sha256)
        if len(seen) >= 5:
            held.set()
        assert len(seen) != 4 or held.wait(10), "the fifth image never began"
        return prepare(source, **options)

    monkeypatch.setattr(engine, "prepare", slow)
    assert statuses(run(job, engine)) == {DONE: 8}


def test_what_ends_a_run_is_raised_and_reading_ends(tmp_path: Path) -> None:
    job = job_of(tmp_path, 3)
    engine = make_engine()
    monkey = NoProgramError("no compiler here")

    def prepare(_sizes: object) -> None:
        raise monkey

    engine.library.prepare = prepare  # type: ignore[method-assign]
    with pytest.raises(NoProgramError):
        run(job, engine)
    assert not [t for t in threading.enumerate() if t.name.startswith(("ahead", "image"))]


def test_an_entry_s_listener_that_fails_ends_the_run(tmp_path: Path) -> None:
    job = job_of(tmp_path, 20)

    def refuse(_entry: Entry, _total: int) -> None:
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        run_folder(make_engine(), job, refuse)
    assert not [t for t in threading.enumerate() if t.name.startswith(("ahead", "image"))]


def test_the_next_item_is_made_while_one_is_in_use() -> None:
    made: list[int] = []
    second = threading.Event()

    def items():
        for number in range(1, 4):
            made.append(number)
            if number == 2:
                second.set()
            yield number
        raise ValueError("the end")

    found = ahead(items())
    assert next(found) == 1
    assert second.wait(10)
    assert next(found) == 2
    assert next(found) == 3
    with pytest.raises(ValueError, match="the end"):
        next(found)
