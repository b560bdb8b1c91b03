"""Folder jobs on NeuronCores, through the stand-in SDK of this lane: every core, warm, as alone."""

from __future__ import annotations

from pathlib import Path
from threading import Barrier

import numpy as np
import pytest

from depth.artifact.manifest import Artifact
from depth.images.read import read_image
from serve.backend import open_on_core
from serve.engine import Raw
from serve.errors import Action, NoImagesError, ProgramError, RefusedError
from serve.folder.job import run_folder
from serve.folder.request import FolderJob
from serve.jobs.entry import DONE, KEPT
from serve.library import Library
from serve.runtimes import neuron_cores as machine_cores
from tests.support.neuron_jobs import (
    EVERY_CORE,
    LOAD,
    LYING,
    RUN,
    STANDING,
    UNLOAD,
    Cores,
    Event,
    cores_fixture,
    two_sizes_fixture,
    write_images,
)
from tests.support.neuron_machine import Machine, machine_fixture
from tests.support.neuron_served import LANE, Chip, chip_fixture
from tests.support.schedules import WAIT_S

__all__ = ["chip_fixture", "cores_fixture", "machine_fixture", "two_sizes_fixture"]


def test_a_job_keeps_every_core_of_the_chip_busy(
    cores: Cores, two_sizes: Artifact, tmp_path: Path
) -> None:
    meeting = Barrier(LANE.cores, timeout=WAIT_S)  # broken, and so failures, if fewer come at once
    cores.before = lambda event, _count: event.what == RUN and meeting.wait()
    write_images(tmp_path, 4 * LANE.cores, LYING)
    report, _ = cores.job(two_sizes, tmp_path)
    assert report.counts == {DONE: 4 * LANE.cores}
    assert sorted(cores.runs()) == sorted(EVERY_CORE)
    assert sum(cores.runs().values()) == 4 * LANE.cores


def test_every_core_has_every_program_that_is_needed_before_the_first_image(
    cores: Cores, chip: Chip, two_sizes: Artifact, tmp_path: Path
) -> None:
    write_images(tmp_path, 6, LYING, STANDING)
    report, entries = cores.job(two_sizes, tmp_path)
    assert report.counts == {DONE: 6}
    loads = [event for event in cores.events if event.what == LOAD]
    assert sorted(chip.placed) == sorted([(core, 1) for core in EVERY_CORE] * 2)
    assert {(event.core, event.size) for event in loads} == {
        (core, size) for core in EVERY_CORE for size in (LYING, STANDING)
    }
    assert cores.events[: len(loads)] == loads
    assert len(loads) == cores.count(UNLOAD) == 2 * LANE.cores  # in the end
    assert all(set(e.timing_ms) == {"read", "wait", "network", "write"} for e in entries)
    assert all(entry.timing_ms["network"] > 0 for entry in entries)


def test_what_no_image_needs_is_not_loaded(
    cores: Cores, two_sizes: Artifact, tmp_path: Path
) -> None:
    write_images(tmp_path, 2, STANDING)
    cores.job(two_sizes, tmp_path)
    assert {event.size for event in cores.events} == {STANDING}


def test_depth_is_that_of_each_image_alone(
    cores: Cores, two_sizes: Artifact, tmp_path: Path
) -> None:
    write_images(tmp_path, 12, LYING, STANDING)
    cores.job(two_sizes, tmp_path)
    engine = cores.engine(two_sizes)
    alone = {
        key.size: open_on_core(two_sizes, two_sizes.manifest.stages(key), 0)
        for key in two_sizes.manifest.keys
    }
    seen = set()
    for image in (tmp_path / "in").iterdir():
        prepared = engine.prepare(read_image(image))
        images = {name: array[None] for name, array in prepared.arrays.items()}
        outputs = {n: array[0] for n, array in alone[prepared.size].run(images).items()}
        raw = Raw(outputs, prepared, 0, 0)
        found = np.load(tmp_path / "out" / image.with_suffix(".npy").name)
        assert np.array_equal(found, engine.finish(raw).depth.values)
        seen.add(found.tobytes())
    assert len(seen) == 12


@pytest.mark.parametrize(
    ("variable", "value"), [("NEURON_RT_NUM_CORES", "1"), ("NEURON_RT_VISIBLE_CORES", "1")]
)
def test_cores_that_are_left_to_others_are_not_used(
    cores: Cores, chip: Chip, two_sizes: Artifact, tmp_path: Path, variable: str, value: str
) -> None:
    chip.monkeypatch.setenv(variable, value)
    write_images(tmp_path, 4, LYING)
    report, _ = cores.job(two_sizes, tmp_path)
    assert (report.counts, cores.runs()) == ({DONE: 4}, {0: 4})
    assert chip.placed == [(0, 1)]


def test_one_program_is_loaded_at_a_time(cores: Cores, two_sizes: Artifact) -> None:
    """Who waits for the SDK would seem to hang on a machine with many cores."""
    at_once: list[int] = []
    with cores.engine(two_sizes) as engine:

        def look(_event: Event, _count: int) -> None:
            states = engine._cores._opened.scheduler._cores
            at_once.append(sum(any(run.loads for run in core.runs) for core in states))

        cores.before = look
        engine.make_ready([LYING, STANDING])
    assert at_once == [1] * (2 * LANE.cores)


def test_a_rerun_of_a_finished_job_needs_no_chip(
    cores: Cores, two_sizes: Artifact, tmp_path: Path, machine: Machine
) -> None:
    write_images(tmp_path, 3, LYING)
    cores.job(two_sizes, tmp_path)
    before = len(cores.events)
    machine.says()
    machine_cores.forget()
    report, _ = cores.job(two_sizes, tmp_path)
    assert (report.counts, len(cores.events)) == ({KEPT: 3}, before)
    (tmp_path / "out/00.json").unlink()
    with pytest.raises(ProgramError, match="no Neuron device here") as told:
        cores.job(two_sizes, tmp_path)
    assert told.value.action is Action.REPLACE


def test_cores_are_taken_only_for_work_and_given_back_after_it(
    cores: Cores, two_sizes: Artifact, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    with pytest.raises(NoImagesError):
        cores.job(two_sizes, tmp_path)
    with pytest.raises(RefusedError, match="--allow-unverified"):
        Library([two_sizes])
    (tmp_path / "in/broken.png").write_bytes(b"")
    job = FolderJob(tmp_path / "in", tmp_path / "out")
    with cores.engine(two_sizes) as engine:
        assert run_folder(engine, job).exit_code == 1
    assert cores.events == []
