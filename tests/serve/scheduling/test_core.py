"""One core by itself: its state, and what its threads do without the lock."""

from __future__ import annotations

import math
import threading
from types import SimpleNamespace

import pytest

from depth.artifact.program import ProgramKey
from serve.errors import Action
from serve.scheduling.core import CoreState, CoreThread, Run, RunResult
from serve.scheduling.placement import Measured
from serve.scheduling.worker import Worker
from tests.support.schedules import (
    LYING,
    SQUARE,
    STANDING,
    Virtual,
    assigned,
    made_limits,
    programs,
)
from tests.support.simulated import Device, Fault, Model


def thread_of(core: CoreState, worker: Worker) -> CoreThread:
    wake = threading.Condition()
    return CoreThread(core, worker, wake, 1, None, lambda *_: None, CoreState.evict)


def test_a_program_that_is_being_unloaded_is_loaded_again_by_the_next_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept, dropped = keys = programs(LYING, STANDING)
    device = Device(Model(lambda _program, _core: 0.0, faults=(Fault(1, Action.UNLOAD),)))
    worker, core = device.worker(0), CoreState(0)
    for key in keys:
        worker.load(key)
        core.loaded[key] = None
    later: list[Run] = []

    def unload(program: ProgramKey) -> None:
        worker.loaded.remove(program)
        later.append(assigned(core, program, []))  # in another thread, which must not wait for this

    monkeypatch.setattr(worker, "unload", unload)
    first = assigned(core, kept, [Virtual([kept], cores=1).request(0.0, LYING)])
    assert core.start_next() is first
    assert not first.loads
    assert thread_of(core, worker).perform(first).error is None
    (second,) = later
    assert (second.program, second.loads) == (dropped, True)
    assert core.start_next() is None  # until the first one is done


@pytest.mark.parametrize(
    ("before_s", "run_s"),
    [
        (0.0, 1.0),
        (1.25, 0.75),  # the run waited for another one on the device
        (2.5, 0.0),  # the thread of the run behind it reported first
    ],
)
def test_the_time_of_a_run_is_that_of_its_own_turn(
    monkeypatch: pytest.MonkeyPatch, before_s: float, run_s: float
) -> None:
    clock_s = iter([1.0, 1.1, 2.0])
    clock = SimpleNamespace(monotonic=clock_s.__next__)
    monkeypatch.setattr("serve.scheduling.core.time", clock)
    (key,) = programs(LYING)
    core = CoreState(0, ran_until_s=before_s)
    worker = Device(Model(lambda _program, _core: 0.0)).worker(0)
    worker.load(key)
    core.loaded[key] = None
    run = assigned(core, key, [Virtual([key], cores=1).request(0.0, LYING)])
    result = thread_of(core, worker).perform(run)
    assert Measured().add_run(core, key, result, 2.0) == run_s
    assert run.at_device_s == 1.1
    assert core.ran_until_s == max(2.0, before_s)


def test_the_program_that_ran_last_is_evicted_last() -> None:
    first, second, third = keys = programs(LYING, STANDING, SQUARE)
    core = CoreState(0)
    core.loaded.update(dict.fromkeys(keys))
    Measured().add_run(core, first, RunResult(), 0.0)
    assigned(core, second, [])
    assert [core.evict(third), core.evict(third)] == [first, None]  # the second is in use
    assert core.full


@pytest.mark.parametrize(
    "at_device_s", [(0.1, 0.2), (0.2, 0.1), (math.inf, 0.1), (math.inf, math.inf)]
)
def test_of_two_runs_the_first_at_the_device_counts_as_hanging(
    at_device_s: tuple[float, float],
) -> None:
    cores = Virtual(programs(LYING), cores=2, limits=made_limits(runs_per_core=2))
    core = cores.state.cores[0]
    requests = [cores.request(0.0, LYING) for _ in at_device_s]
    for request, moment_s in zip(requests, at_device_s):
        assigned(core, cores.keys[0], [request]).at_device_s = moment_s
    core.runs[0].until_s = 30.0
    cores.state.expire(30.0)
    hangs = at_device_s.index(min(at_device_s))
    assert [request.hangs for request in requests] == [int(hangs == n) for n in (0, 1)]
    assert cores.state.snapshot().waiting == 2
