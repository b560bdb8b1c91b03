"""Folder jobs on simulated cores that fail by a schedule: every image once, and rightly."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Optional

import numpy as np
import pytest

from depth.images.read import read_image
from depth.maps.result import FloatArray
from serve.backend import Backend
from serve.engine import Engine, Raw
from serve.errors import Action
from serve.folder.job import run_folder
from serve.folder.manifest import MANIFEST
from serve.folder.request import FolderJob
from serve.jobs.entry import DONE, FAILED, KEPT, Entry, Report
from serve.library import Library
from serve.scheduling.worker import Limits
from serve.shapes import BUCKETS
from tests.support.engines import depth_of, library_of
from tests.support.hostile import encoded, picture
from tests.support.schedules import LYING, SQUARE, STANDING, programs
from tests.support.simulated import LOAD, RUN, Device, Fault, Model

CORES, IMAGES = 4, 40
LIBRARY = library_of(programs(LYING, STANDING, SQUARE, batches=(1, 4)))
_UNUSED = Engine(LIBRARY, BUCKETS)  # to look at images with


@dataclass
class Place:
    """An output folder beside the images, for an engine on a device with these faults."""

    images: Path
    output: Path
    device: Device
    limits: Limits = Limits(runs_per_core=2)
    snapshot: Optional[object] = None

    def run(self) -> tuple[Report, list[Entry]]:
        entries: list[Entry] = []
        job = FolderJob(self.images, self.output, formats=("npy",))
        with Engine(LIBRARY, BUCKETS, backend=self._backend) as engine:
            report = run_folder(engine, job, lambda entry, _: entries.append(entry))
            if engine._cores._opened is not None:
                self.snapshot = engine._cores._opened.scheduler.snapshot()
        return report, entries

    def is_right(self, name: str) -> bool:
        """Whether the depth file of an image has the values of a core that does not fail."""
        found = np.load((self.output / name).with_suffix(".npy"))
        return np.array_equal(found, right_depth(self.images / name))

    def _backend(self, _library: Library, _images: int) -> Backend:
        workers = [self.device.worker(core) for core in range(CORES)]
        return Backend(workers, self.device.worker, 3 * CORES, limits=self.limits)


@cache
def right_depth(image: Path) -> FloatArray:
    """Depth by a core that does not fail."""
    prepared = _UNUSED.prepare(read_image(image))
    return _UNUSED.finish(Raw({"depth": depth_of(prepared)}, prepared, 0.0, 0.0)).depth.values


@pytest.fixture(scope="module", name="images")
def images_fixture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images of three shapes."""
    folder = tmp_path_factory.mktemp("images")
    for index in range(IMAGES):
        height, width = ((30, 44), (47, 31), (33, 33), (90, 130))[index % 4]
        image = picture(height, width, seed=index)
        (folder / f"{index:02}.png").write_bytes(encoded(image, "PNG", compress_level=1))
    return folder


def place(images: Path, folder: Path, *faults: Fault, **device: int) -> Place:
    model = Model(lambda program, _core: 0.5 * program.batch, faults=faults, **device)
    return Place(images, folder / "out", Device(model))


# Two each: an image that fails three times is failed, and which image meets which fault is chance.
SCHEDULES = {
    "nothing": [],
    "retries": [Fault(3, Action.RETRY), Fault(9, Action.RETRY)],
    "failures of no kind": [Fault(2), Fault(4)],
    "pressure": [Fault(1, Action.BACK_PRESSURE), Fault(2, Action.BACK_PRESSURE)],
    "recycling": [Fault(3, Action.RECYCLE), Fault(9, Action.RECYCLE)],
    "replacing": [Fault(4, Action.REPLACE), Fault(8, Action.REPLACE)],
    "loading": [Fault(2, Action.RETRY, call=LOAD), Fault(9, Action.RECYCLE, call=LOAD)],
    "more loading": [Fault(1, call=LOAD), Fault(3, Action.REPLACE, call=LOAD)],
    "loading and running": [Fault(11, Action.RECYCLE, call=LOAD), Fault(5, Action.RECYCLE)],
    "both": [Fault(3, Action.RECYCLE), Fault(7, Action.REPLACE)],
}


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("programs_per_core", [None, 2], ids=["memory", "little memory"])
def test_every_image_is_answered_once_and_rightly(
    images: Path, tmp_path: Path, schedule: str, programs_per_core: Optional[int]
) -> None:
    faults = SCHEDULES[schedule]
    there = place(images, tmp_path, *faults, programs_per_core=programs_per_core)
    report, entries = there.run()
    assert report.counts == {DONE: IMAGES}
    assert Counter(entry.image for entry in entries) == {f"{i:02}.png": 1 for i in range(IMAGES)}
    assert all(there.is_right(entry.image) for entry in entries)
    calls = there.device.calls
    assert all(calls[f.call, f.core] >= f.nth for f in faults), "a fault was never reached"
    lost = sum(fault.action is Action.REPLACE for fault in faults)
    assert there.snapshot.cores_in_service == CORES - lost
    assert (report.exit_code, there.run()[0].counts) == (0, {KEPT: IMAGES})


def test_a_wrong_result_would_be_seen(images: Path, tmp_path: Path) -> None:
    """The failing side of the test above."""
    there = place(images, tmp_path)
    there.run()
    (tmp_path / "out/00.npy").write_bytes((tmp_path / "out/03.npy").read_bytes())
    assert not there.is_right("00.png")
    assert there.is_right("01.png")


def test_faults_of_images_fail_these_only(images: Path, tmp_path: Path) -> None:
    there = place(images, tmp_path, Fault(4, Action.REQUEST_FAULT), Fault(8, Action.ARTIFACT_FAULT))
    report, entries = there.run()
    bad = [entry for entry in entries if entry.status == FAILED]
    # Of a batch, the one at fault is found; a fault of the artifact is everybody's in the run.
    assert 1 <= len(bad) <= 5
    assert all("a fault of the schedule" in entry.reason for entry in bad)
    assert all(there.is_right(entry.image) for entry in entries if entry not in bad)
    assert report.exit_code == 3
    assert there.run()[0].counts == {KEPT: IMAGES - len(bad), DONE: len(bad)}


def test_a_core_that_hangs_is_left_behind(images: Path, tmp_path: Path) -> None:
    there = place(images, tmp_path, Fault(5, hang=True))
    there.limits = Limits(run_timeout_s=1.0, runs_per_core=2)
    report, entries = there.run()
    there.device.release()
    assert report.counts == {DONE: IMAGES}
    assert there.snapshot.cores_in_service == CORES - 1
    assert all(there.is_right(entry.image) for entry in entries)


def test_without_a_core_left_images_are_left_too(
    images: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    there = place(images, tmp_path, *(Fault(2, Action.REPLACE, core=core) for core in range(CORES)))
    report, entries = there.run()
    # An image that three cores fail is failed; the others were not begun, or not at fault.
    assert report.counts[DONE] >= CORES
    assert report.counts[FAILED] <= 4
    assert report.left == IMAGES - report.counts[DONE] - report.counts[FAILED] > 0
    assert (report.exit_code, there.snapshot.cores_in_service) == (3, 0)
    assert len((tmp_path / "out" / MANIFEST).read_text().splitlines()) == len(entries)
    assert sum("out of service" in record.message for record in caplog.records) == CORES
    assert there.device.calls[RUN, None] == 2 * CORES
    there.device = Device(Model(lambda _program, _core: 0.0))
    done = report.counts[DONE]
    assert there.run()[0].counts == {KEPT: done, DONE: IMAGES - done}
