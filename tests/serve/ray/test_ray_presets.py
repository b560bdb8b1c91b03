"""Presets in the workers of a Ray job, without a cluster: their results are fetched."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from depth.store.objects import open_store
from serve.jobs.entry import DONE, FAILED
from serve.jobs.objects.making import Making
from serve.jobs.objects.settings import SETTINGS
from serve.ray.wire import parse_entry
from serve.ray.worker import ENTRY, Duty, Worker
from tests.serve.ray.test_wire import batch
from tests.support.fetches import differing, fetch, files_in, folder_job
from tests.support.folder_jobs import close_engines, make_engine
from tests.support.object_jobs import png


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    yield
    close_engines()


@pytest.mark.parametrize("preset", ["3dgs", "iw3"])
def test_results_of_two_workers_are_those_of_a_folder_job(tmp_path: Path, preset: str) -> None:
    making = Making(("x",), formats=(), preset=preset)
    made = making.made(make_engine().library)
    source, target = str(tmp_path / "in"), str(tmp_path / "out")
    (tmp_path / "in").mkdir()
    with open_store(source) as images:
        images.write("a.png", png(1))
        images.write("b/c.png", png(2))
        duty = Duty(source, target, None, making, made.folder, len(made.suffixes) - 1)
        for image in ("a.png", "b/c.png"):
            worker = Worker(replace(duty, engine=lambda _: make_engine()))
            (entry,) = map(parse_entry, worker(batch(image))[ENTRY])
            assert (entry.image, entry.status) == (image, DONE)
        wanted = folder_job(images, tmp_path / "folder", making, make_engine())
    with open_store(target) as results:
        results.write(f"{made.folder}/{SETTINGS}", made.settings)
    assert fetch(target, tmp_path / "got").fates == {"a.png": DONE, "b/c.png": DONE}
    assert differing(files_in(tmp_path / "got"), wanted) == []


def test_depth_that_cannot_meet_a_preset_fails_by_name(tmp_path: Path) -> None:
    """A driver refuses it before work; a worker is given it here all the same."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.png").write_bytes(png(1))
    making = Making(("x",), formats=(), preset="tum")
    places = str(tmp_path / "in"), str(tmp_path / "out")
    worker = Worker(Duty(*places, None, making, "folder", 1, lambda _: make_engine()))
    (entry,) = map(parse_entry, worker(batch("a.png"))[ENTRY])
    assert entry.status == FAILED
    assert "preset tum: holds metres" in entry.reason
