"""One core by itself: what its threads do while nobody holds the lock."""

from __future__ import annotations

import math
import threading
from types import SimpleNamespace

import pytest

from depth.artifact.program import ProgramKey
from serve.errors import Action
from serve.scheduling.core import Core
from serve.scheduling.job import Job
from tests.support.schedules import LYING, STANDING, Virtual, made_limits, programs
from tests.support.simulated import Device, Fault, Model


def test_what_is_being_unloaded_is_loaded_again_by_who_is_handed_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept, dropped = keys = programs(LYING, STANDING)
    device = Device(Model(lambda _program, _core: 0.0, faults=(Fault(1, Action.UNLOAD),)))
    worker = device.worker(0)
    core = Core(0, worker, threading.Condition())
    for key in keys:
        worker.load(key)
        core.loaded[key] = None
    handed: list[Job] = []

    def unload(program: ProgramKey) -> None:
        worker.loaded.remove(program)
        handed.append(core.hand(program, []))  # in another thread, which must not wait for this

    monkeypatch.setattr(worker, "unload", unload)
    first = core.hand(kept, [Virtual([kept], cores=1).request(0.0, LYING)])
    assert core.take() is first
    assert not first.loads
    assert core.perform(first, lambda: None, None).error is None
    (second,) = handed
    assert (second.program, second.loads) == (dropped, True)
    assert core.take() is None  # until the first one is done


@pytest.mark.parametrize(
    ("before_s", "run_s"),
    [
        (0.0, 1.0),
        (1.25, 0.75),  # it waited for another one on the device
        (2.5, 0.0),  # the thread of the one behind it told of that first
    ],
)
def test_the_time_of_a_run_is_that_of_its_own_turn(
    monkeypatch: pytest.MonkeyPatch, before_s: float, run_s: float
) -> None:
    clock_s = iter([1.0, 1.1, 2.0])
    monkeypatch.setattr("serve.scheduling.core.time", SimpleNamespace(monotonic=clock_s.__next__))
    (key,) = programs(LYING)
    core = Core(0, Device(Model(lambda _program, _core: 0.0)).worker(0), threading.Condition())
    core.worker.load(key)
    core.loaded[key] = None
    core.ran_until_s = before_s
    request = Virtual([key], cores=1).request(0.0, LYING)
    job = Job(key, [request], loads=False)
    assert core.perform(job, lambda: None, None).run_s == run_s
    assert job.at_device_s == 1.1
    assert core.ran_until_s == max(2.0, before_s)


@pytest.mark.parametrize(
    "at_device_s", [(0.1, 0.2), (0.2, 0.1), (math.inf, 0.1), (math.inf, math.inf)]
)
def test_of_two_runs_the_one_that_the_device_has_first_is_taken_to_hang(
    at_device_s: tuple[float, float],
) -> None:
    cores = Virtual(programs(LYING), cores=2, limits=made_limits(runs_per_core=2))
    core = cores.state.cores[0]
    requests = [cores.request(0.0, LYING) for _ in at_device_s]
    for request, moment_s in zip(requests, at_device_s):
        core.hand(cores.keys[0], [request]).at_device_s = moment_s
    core.jobs[0].until_s = 30.0
    cores.state.look(30.0)
    hangs = at_device_s.index(min(at_device_s))
    assert [request.hangs for request in requests] == [int(hangs == n) for n in (0, 1)]
    assert cores.state.waiting == 2
