"""A process that stands still for a while, as by Ctrl-Z: no core can be heard meanwhile."""

from __future__ import annotations

import math
import time
from types import SimpleNamespace

import pytest

from serve.errors import ExpiredError
from tests.support.schedules import (
    HELD,
    LYING,
    WAIT_S,
    Virtual,
    images,
    is_depth_of,
    programs,
    serving,
)

pytestmark = pytest.mark.usefixtures("runs_per_core")


def test_a_pause_of_the_process_is_not_taken_for_cores_that_hang(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    paused_s = 0.0
    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + paused_s)
    monkeypatch.setattr("serve.scheduling.scheduler.time", clock)
    monkeypatch.setattr("serve.scheduling.scheduler.TICK_S", 0.02)
    with serving(programs(LYING), HELD) as served:
        running = served.hold()
        waiting = served.submit(images(1)[0], deadline_s=500.0)
        paused_s = 1000.0
        with pytest.raises(ExpiredError):
            waiting.result(WAIT_S)
        assert served.scheduler.snapshot().cores_in_service == 1
        served.device.release()
        assert is_depth_of(running, images(1, seed=99)[0])


def test_a_core_that_hangs_after_a_pause_is_found() -> None:
    cores = Virtual(programs(LYING), cores=1)
    (core,) = cores.state.cores
    cores.state.schedule(cores.request(0.0, LYING), 0.0)
    cores.state.dispatch(0.0)
    cores.state.loaded(core.runs[0], 1.0, 0.0)
    cores.state.restart_timeouts(1000.0)
    cores.state.expire(1029.0)
    cores.state.dispatch(1029.0)
    assert core.in_service
    assert cores.state.alarm_s == 1030.0
    cores.state.expire(1030.0)
    assert not core.in_service


@pytest.mark.parametrize(("alarm_s", "slept_s"), [(0.3, 0.3), (math.inf, 1.0)])
def test_a_sleep_much_longer_than_planned_is_a_pause(
    monkeypatch: pytest.MonkeyPatch, alarm_s: float, slept_s: float
) -> None:
    with serving(programs(LYING)) as served:
        scheduler = served.scheduler  # once it is closed, no thread of its own looks at the time
    now_s, pauses_s = 0.0, []
    clock = SimpleNamespace(monotonic=lambda: now_s)
    monkeypatch.setattr("serve.scheduling.scheduler.time", clock)
    monkeypatch.setattr(scheduler._dispatcher, "restart_timeouts", pauses_s.append)
    scheduler._wakes_s, scheduler._dispatcher.alarm_s = math.inf, alarm_s
    assert scheduler._awake_s() == 0.0
    assert scheduler._sleep_s(0.0) == slept_s
    now_s = slept_s + 0.5
    assert scheduler._awake_s() == now_s
    assert pauses_s == []
    scheduler._sleep_s(0.0)
    now_s = slept_s + 1.5
    assert scheduler._awake_s() == now_s
    assert pauses_s == [now_s]
