"""One core by itself: what its threads do while nobody holds the lock."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest

from serve.runtime_simulated import Device, Model
from serve.scheduling.core import Core
from serve.scheduling.job import Job
from tests.schedules import LYING, Virtual, programs


def test_a_run_that_is_told_of_late_took_no_negative_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clock_s = iter([1.0, 2.0])
    monkeypatch.setattr("serve.scheduling.core.time", SimpleNamespace(monotonic=clock_s.__next__))
    (key,) = programs(LYING)
    core = Core(0, Device(Model(lambda _program, _core: 0.0)).worker(0), threading.Condition())
    core.worker.load(key)
    core.loaded[key] = None
    core.ran_until_s = 2.5  # the run behind it, which its thread told of first
    request = Virtual([key], cores=1).request(0.0, LYING)
    assert core.perform(Job(key, [request], loads=False), lambda: None, None).run_s == 0.0
    assert core.ran_until_s == 2.5
