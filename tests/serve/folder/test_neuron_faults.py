"""Cores that fail in the middle of a folder job, by what the SDK says, and what becomes of it."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import dropwhile
from pathlib import Path
from threading import Event as Signal

import pytest

from depth.artifact.manifest import Artifact
from serve.backend import Backend, open_backend
from serve.errors import RESTART, Action, OutOfServiceError, ProgramError
from serve.jobs.entry import DONE, FAILED, KEPT, Entry
from serve.library import Library
from serve.runtimes.neuron_status import STATUSES, Status
from serve.scheduling.worker import Limits
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
from tests.support.neuron_machine import machine_fixture
from tests.support.neuron_served import LANE, chip_fixture

__all__ = ["chip_fixture", "cores_fixture", "machine_fixture", "two_sizes_fixture"]
IMAGES = 4 * LANE.cores
LAST = EVERY_CORE[-1]


def failed(entries: list[Entry]) -> list[Entry]:
    return [entry for entry in entries if entry.status == FAILED]


def everyone_once(entries: list[Entry], count: int = IMAGES) -> bool:
    return sorted(entry.image for entry in entries) == [f"{i:02}.png" for i in range(count)]


def of(*actions: Action) -> list[Status]:
    return [status for status in STATUSES.values() if status.action in actions]


def by_name(status: Status) -> str:
    return status.name


def one_at_a_time(cores: Cores) -> None:
    cores.backend = lambda library, images: replace(open_backend(library, images), images_at_once=1)


def run_with(cores: Cores, artifact: Artifact, folder: Path, status: Status) -> list[Entry]:
    """A job in which a core gives this status at the fourth image."""
    write_images(folder, IMAGES, LYING, STANDING)
    cores.fail(f"nrt_execute status={status.code} message=...", RUN, nth=4)
    report, entries = cores.job(artifact, folder)
    assert everyone_once(entries)
    assert report.exit_code == (3 if failed(entries) else 0)
    return entries


def once_it_stands(after: list[Event]) -> list[str]:
    """What a core did after a fault, without what it was handed before that was known."""
    return list(dropwhile(lambda what: what == RUN, (event.what for event in after)))


@pytest.mark.parametrize("status", of(Action.RETRY, Action.BACK_PRESSURE), ids=by_name)
def test_what_passes_is_tried_again(
    cores: Cores, two_sizes: Artifact, tmp_path: Path, status: Status
) -> None:
    assert failed(run_with(cores, two_sizes, tmp_path, status)) == []
    assert cores.count(RUN) == IMAGES + 1
    assert cores.count(LOAD) == 2 * LANE.cores


@pytest.mark.parametrize("status", of(Action.RECYCLE), ids=by_name)
def test_a_core_to_recycle_is_opened_again_with_what_it_held(
    cores: Cores, two_sizes: Artifact, tmp_path: Path, status: Status
) -> None:
    assert failed(run_with(cores, two_sizes, tmp_path, status)) == []
    assert cores.count(RUN) == IMAGES + 1
    # Everything is given back before anything is loaded again; the job may end meanwhile.
    _, after = cores.around_the_fault()
    assert once_it_stands(after)[:2] == [UNLOAD, UNLOAD]
    loads = [event.size for event in after if event.what == LOAD]
    assert loads in ([], [LYING], [STANDING], [LYING, STANDING], [STANDING, LYING])


@pytest.mark.parametrize("status", of(Action.REPLACE), ids=by_name)
def test_a_core_to_replace_is_left_and_the_others_go_on(
    cores: Cores, two_sizes: Artifact, tmp_path: Path, status: Status
) -> None:
    assert failed(run_with(cores, two_sizes, tmp_path, status)) == []
    _, after = cores.around_the_fault()
    assert once_it_stands(after) == [UNLOAD, UNLOAD]
    assert cores.count(RUN) == IMAGES + 1


@pytest.mark.parametrize("status", of(Action.UNLOAD), ids=by_name)
def test_without_memory_the_other_program_is_unloaded(
    cores: Cores, two_sizes: Artifact, tmp_path: Path, status: Status
) -> None:
    one_at_a_time(cores)  # beside another run, which may need it, nothing is unloaded
    assert failed(run_with(cores, two_sizes, tmp_path, status)) == []
    before, after = cores.around_the_fault()
    run = before[-1]
    other = STANDING if run.size == LYING else LYING
    # The same call again on the same core, once there is room.
    assert after[:2] == [Event(UNLOAD, run.core, other), run]
    assert cores.count(RUN) == IMAGES + 1


@pytest.mark.parametrize("status", of(Action.REQUEST_FAULT, Action.ARTIFACT_FAULT), ids=by_name)
def test_what_would_not_help_is_not_tried_and_fails_one_image(
    cores: Cores, two_sizes: Artifact, tmp_path: Path, status: Status
) -> None:
    (entry,) = failed(run_with(cores, two_sizes, tmp_path, status))
    assert re.search(rf"status={status.code} .*NRT_{status.name}.*; {status.advice}", entry.reason)
    assert "core" not in entry.reason.split("nrt_execute")[0]
    assert cores.count(RUN) == IMAGES
    assert cores.count(LOAD) == 2 * LANE.cores


def test_every_status_is_tested() -> None:
    assert len(of(*Action)) == len(STATUSES) >= 24
    assert {status.action for status in STATUSES.values()} == set(Action)


def test_a_failure_that_does_not_go_away_fails_the_image_with_what_was_tried(
    cores: Cores, two_sizes: Artifact, tmp_path: Path
) -> None:
    write_images(tmp_path, 4, LYING)
    told: list[str] = []

    def before(event: Event, _count: int) -> None:
        if event.what == RUN and len(told) < 3:
            told.append(str(event.core))
            raise RuntimeError("nrt_execute status=1004 message=...")

    cores.before = before
    one_at_a_time(cores)
    report, entries = cores.job(two_sizes, tmp_path)
    (entry,) = failed(entries)
    assert (report.counts[DONE], len(told)) == (3, 3)
    assert f"tried 3 times, last on core {told[-1]}: " in entry.reason
    assert "NRT_EXEC_COMPLETED_WITH_ERR" in entry.reason


def test_a_core_that_hangs_is_left_behind(
    cores: Cores, two_sizes: Artifact, tmp_path: Path
) -> None:
    released = Signal()
    write_images(tmp_path, IMAGES, LYING)
    cores.at(RUN, 4, released.wait)

    def impatient(library: Library, images: int) -> Backend:
        limits = Limits(run_timeout_s=1.0, loads_at_once=1)
        return replace(open_backend(library, images), limits=limits)

    cores.backend = impatient
    try:
        report, entries = cores.job(two_sizes, tmp_path)
        assert report.counts == {DONE: IMAGES}
        assert everyone_once(entries)
        assert cores.count(RUN) == IMAGES + 1
        assert cores.around_the_fault()[1] == []
    finally:
        released.set()


def all_gone(cores: Cores, after: int) -> None:
    """The hardware of every core fails once it has run a number of images."""

    def before(event: Event, count: int) -> None:
        if event.what == RUN and count >= after:
            raise RuntimeError("nrt_execute status=6 message=...")

    cores.before = before


def test_without_a_core_left_the_job_stops_and_a_rerun_finishes_it(
    cores: Cores, two_sizes: Artifact, tmp_path: Path
) -> None:
    write_images(tmp_path, 40, LYING)
    all_gone(cores, after=2)
    report, entries = cores.job(two_sizes, tmp_path)
    done = report.counts[DONE]
    assert done == 2 * LANE.cores
    assert report.counts[FAILED] <= 1  # of an image that three cores failed
    assert (report.left, report.exit_code) == (40 - len(entries), 3)
    assert "every core is out of service, the last one because: " in report.stopped
    assert "NRT_HW_ERROR); replace the instance" in report.stopped
    assert 3 * LANE.cores <= cores.count(RUN) <= 4 * LANE.cores  # one or two at once were its last
    cores.before = lambda _event, _count: None
    report, more = cores.job(two_sizes, tmp_path)
    assert report.counts == {KEPT: done, DONE: 40 - done}
    assert (report.exit_code, everyone_once(more, 40)) == (0, True)


def test_where_every_run_of_the_process_fails_a_new_process_does_the_rest(
    cores: Cores, two_sizes: Artifact, tmp_path: Path
) -> None:
    write_images(tmp_path, 40, LYING)

    def before(_event: Event, _count: int) -> None:
        if cores.count(RUN) > 20:
            raise RuntimeError("nrt_execute status=5 message=Timeout Exceeded")

    cores.before = before
    report, _ = cores.job(two_sizes, tmp_path)
    assert (report.exit_code, report.restart) == (RESTART, True)
    assert report.left > 0
    says = "core ., opened 2 times again: .*NRT_TIMEOUT.*; restart the process"
    assert re.fullmatch(says, report.stopped)
    done = report.counts[DONE]
    cores.before = lambda _event, _count: None
    report, more = cores.job(two_sizes, tmp_path)
    assert report.counts == {KEPT: done, DONE: 40 - done}
    assert (report.exit_code, everyone_once(more, 40)) == (0, True)


def test_a_chip_that_fails_before_the_first_image_ends_the_job(
    cores: Cores, two_sizes: Artifact, tmp_path: Path
) -> None:
    write_images(tmp_path, 4, LYING)
    cores.before = lambda *_: (_ for _ in ()).throw(RuntimeError("nrt_load status=6 message=..."))
    with pytest.raises(OutOfServiceError, match="every core is out of service.*NRT_HW_ERROR"):
        cores.job(two_sizes, tmp_path)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["depth-report.jsonl"]


@pytest.mark.parametrize("code", [7, 15, 101])  # back-pressure, retry, recycle
def test_a_load_that_failed_is_tried_again_before_the_first_image(
    cores: Cores, two_sizes: Artifact, tmp_path: Path, code: int
) -> None:
    write_images(tmp_path, 4, LYING, STANDING)
    cores.fail(f"nrt_load status={code} message=...", LOAD, nth=2, core=LAST)
    report, _ = cores.job(two_sizes, tmp_path)
    assert report.counts == {DONE: 4}
    first = next(i for i, event in enumerate(cores.events) if event.what == RUN)
    held = [e for e in cores.events[:first] if e.core == LAST]
    for size in (LYING, STANDING):
        before = sum((e.what == LOAD) - (e.what == UNLOAD) for e in held if e.size == size)
        assert before == 1, f"{size} is not there"


def test_a_program_that_loads_nowhere_ends_the_job(
    cores: Cores, two_sizes: Artifact, tmp_path: Path
) -> None:
    write_images(tmp_path, 4, LYING, STANDING)

    def before(event: Event, _count: int) -> None:
        if event.size == STANDING:
            raise RuntimeError("nrt_load status=10 message=...")

    cores.before = before
    with pytest.raises(ProgramError, match="42x28-b1: .*compile again with the release"):
        cores.job(two_sizes, tmp_path)
    assert cores.count(RUN) == 0
