"""One core by itself: what its threads do while nobody holds the lock."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest

from serve.runtime_simulated import Device, Model
from serve.scheduling.core import Core
from serve.scheduling.job import Job
from tests.schedules import LYING, Virtual, programs


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
    clock_s = iter([1.0, 2.0])
    monkeypatch.setattr("serve.scheduling.core.time", SimpleNamespace(monotonic=clock_s.__next__))
    (key,) = programs(LYING)
    core = Core(0, Device(Model(lambda _program, _core: 0.0)).worker(0), threading.Condition())
    core.worker.load(key)
    core.loaded[key] = None
    core.ran_until_s = before_s
    request = Virtual([key], cores=1).request(0.0, LYING)
    outcome = core.perform(Job(key, [request], loads=False), lambda: None, None)
    assert outcome.run_s == run_s
    assert core.ran_until_s == max(2.0, before_s)
