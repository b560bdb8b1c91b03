from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from depth.artifact.program import ProgramKey
from depth.maps.result import FloatArray
from serve.errors import Action, ProgramError
from tests.support.schedules import LYING, STANDING, WAIT_S, images, programs
from tests.support.simulated import (
    LOAD,
    RUN,
    Device,
    Fault,
    Model,
    SimulatedWorker,
    simulated_depth,
)

KEY, BATCH_OF_4 = programs(LYING, batches=(1, 4))


def no_time(_program: object, _core: int) -> float:
    return 0.0


def run(opened: SimulatedWorker, program: ProgramKey, images: FloatArray) -> FloatArray:
    return opened.run(program, {"images": images})["depth"]


def worker(model: Model, core: int = 0) -> SimulatedWorker:
    opened = Device(model).worker(core)
    opened.load(KEY)
    return opened


def test_an_image_has_the_same_depth_in_any_batch() -> None:
    opened = worker(Model(no_time))
    opened.load(BATCH_OF_4)
    batch = np.stack(images(4))
    together = run(opened, BATCH_OF_4, batch)
    assert together.dtype == np.float32
    for image, depth in zip(batch, together):
        assert np.array_equal(run(opened, KEY, image[None])[0], depth)
    assert len({depth.tobytes() for depth in together}) == 4


def test_a_run_takes_the_latency_of_its_program_on_its_core() -> None:
    model = Model(lambda program, core: 10.0 * program.batch if core == 1 else 0.0)
    slow = worker(model, core=1)
    slow.load(BATCH_OF_4)
    started_s = time.perf_counter()
    run(slow, BATCH_OF_4, np.stack(images(4)))
    assert time.perf_counter() - started_s >= 0.04


def test_jitter_is_the_same_for_the_same_seed() -> None:
    def latencies(seed: int, core: int = 0) -> list[float]:
        opened = worker(Model(lambda _program, _core: 10.0, jitter=0.1, seed=seed), core)
        return [opened._latency_s(KEY) for _ in range(20)]

    assert latencies(1) == latencies(1)
    assert latencies(1) != latencies(2)
    assert latencies(1) != latencies(1, core=1)
    assert 0.009 <= min(latencies(1)) < max(latencies(1)) <= 0.011


def test_loading_takes_its_time_and_memory_has_an_end() -> None:
    device = Device(Model(no_time, load_ms=10.0, programs_per_core=1))
    opened = device.worker(0)
    started_s = time.perf_counter()
    opened.load(KEY)
    assert time.perf_counter() - started_s >= 0.01
    with pytest.raises(ProgramError, match="no memory for 28x42-b4") as caught:
        opened.load(BATCH_OF_4)
    assert caught.value.action is Action.UNLOAD
    opened.unload(KEY)
    opened.load(BATCH_OF_4)
    assert opened.loaded == {BATCH_OF_4}


def test_faults_come_at_the_runs_of_the_schedule() -> None:
    faults = (Fault(2, Action.RETRY, core=1), Fault(4, Action.ARTIFACT_FAULT))
    device = Device(Model(no_time, faults=faults))
    workers = [device.worker(0), device.worker(1)]
    for opened in workers:
        opened.load(KEY)
    found = []
    for core in (1, 0, 1, 0, 1):
        try:
            run(workers[core], KEY, images(1)[0][None])
            found.append(None)
        except ProgramError as error:
            found.append(error.action)
    assert found == [None, None, Action.RETRY, Action.ARTIFACT_FAULT, None]
    assert (device.calls[RUN, 0], device.calls[RUN, 1], device.calls[RUN, None]) == (2, 3, 5)


def test_a_broken_worker_stays_broken_until_the_core_is_opened_again() -> None:
    device = Device(Model(no_time, faults=(Fault(1, Action.RECYCLE),)))
    opened = device.worker(0)
    opened.load(KEY)
    for _ in range(2):
        with pytest.raises(ProgramError) as caught:
            run(opened, KEY, images(1)[0][None])
        assert caught.value.action is Action.RECYCLE
    again = device.worker(0)
    again.load(KEY)
    assert run(again, KEY, images(1)[0][None]).shape == (1, *LYING)


def test_a_dead_core_cannot_be_opened_again() -> None:
    device = Device(Model(no_time, faults=(Fault(1, Action.REPLACE, call=LOAD),)))
    opened = device.worker(0)
    for call in (lambda: opened.load(KEY), lambda: opened.load(KEY), lambda: device.worker(0)):
        with pytest.raises(ProgramError) as caught:
            call()
        assert caught.value.action is Action.REPLACE
    device.worker(1).load(KEY)


def test_a_run_that_hangs_returns_when_released() -> None:
    device = Device(Model(no_time, faults=(Fault(1, hang=True),)))
    opened = device.worker(0)
    opened.load(KEY)
    depth = []
    threads = [
        threading.Thread(target=lambda: depth.append(run(opened, KEY, images(1)[0][None])))
        for _ in range(2)
    ]
    for thread in threads:  # the second hangs behind the first
        thread.start()
        thread.join(0.05)
        assert thread.is_alive()
    with pytest.raises(ProgramError, match="busy") as caught:
        run(opened, KEY, images(1)[0][None])
    assert caught.value.action is Action.RETRY
    device.release()
    for thread in threads:
        thread.join(WAIT_S)
    assert len(depth) == 2
    assert all(np.array_equal(one, simulated_depth(images(1)[0][None])) for one in depth)


def test_runs_that_a_core_was_given_take_their_turns() -> None:
    opened = worker(Model(lambda _program, _core: 50.0))
    opened.load(KEY)
    began_s = time.perf_counter()

    def timed(image: FloatArray) -> tuple[FloatArray, float]:
        return run(opened, KEY, image[None]), time.perf_counter() - began_s

    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(timed, images(2)))
    early_s, late_s = sorted(ended_s for _, ended_s in found)
    assert early_s >= 0.05
    assert late_s >= 0.1
    for image, (depth, _) in zip(images(2), found):
        assert np.array_equal(depth, simulated_depth(image[None]))


@pytest.mark.parametrize(
    ("program", "batch", "message"),
    [
        (programs(STANDING)[0], np.zeros((1, 3, 42, 28), np.float32), "not loaded"),
        (KEY, np.zeros((1, 3, 42, 28), np.float32), "expected float32 .1, 3, 28, 42."),
        (KEY, np.full((1, 3, 28, 42), np.nan, np.float32), "no number"),
    ],
)
def test_what_a_core_cannot_run_is_a_failure(program, batch, message: str) -> None:
    with pytest.raises(ProgramError, match=message):
        run(worker(Model(no_time)), program, batch)
