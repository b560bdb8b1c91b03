"""What a scheduler loads unasked, what it takes on later, and what it says of time."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from depth.artifact.program import ProgramKey
from serve.arrays import Arrays
from serve.errors import Action, ClosedError, NoProgramError, ProgramError
from serve.scheduling.scheduler import Scheduler
from tests.support.schedules import (
    HELD,
    LYING,
    SQUARE,
    STANDING,
    WAIT_S,
    Served,
    asked,
    images,
    is_depth_of,
    programs,
    serving,
    shapes,
    until,
)
from tests.support.simulated import LOAD, RUN, Device, Fault, Model, simulated_outputs


def holds(served: Served, core: int) -> set[ProgramKey]:
    return set(served.scheduler._core_threads[core].worker.loaded)


def test_only_the_sizes_that_are_asked_for_are_loaded() -> None:
    with serving(programs(LYING, STANDING, SQUARE, batches=(1, 4)), cores=2) as served:
        assert served.scheduler.warm_up(shapes(LYING, SQUARE))
        assert all(holds(served, i) == set(programs(LYING, SQUARE, batches=(1, 4))) for i in (0, 1))
        assert served.scheduler.warm_up([])
        assert served.device.calls[LOAD, None] == 8
        assert served.scheduler.warm_up()
        assert served.device.calls[LOAD, None] == 12


def test_sizes_are_added_while_others_run() -> None:
    many = images(5, STANDING)
    with serving(programs(LYING), HELD, cores=2) as served:
        first = served.hold()
        with pytest.raises(NoProgramError, match="there are 28x42"):
            served.submit(many[0])
        served.scheduler.offer(programs(STANDING, batches=(1, 4)))
        assert served.scheduler.shapes == shapes(LYING, STANDING)
        futures = served.submit_all(many)  # the other core takes them
        assert all(is_depth_of(future, image) for future, image in zip(futures, many))
        served.device.release()
        first.result(WAIT_S)


def test_a_size_may_get_more_batches() -> None:
    many = images(6)
    with serving(programs(LYING), HELD) as served:
        first = served.hold()
        served.scheduler.offer(programs(LYING, batches=(1, 4)))
        futures = served.submit_all(many)
        served.device.release()
        assert all(is_depth_of(future, image) for future, image in zip(futures, many))
        first.result(WAIT_S)
        assert served.runs == 3  # 1, 4 and 2 of 4


@pytest.mark.parametrize("action", [None, Action.RETRY, Action.BACK_PRESSURE, Action.RECYCLE])
def test_a_load_that_failed_once_leaves_no_core_cold(action: Action) -> None:
    keys = programs(LYING, STANDING, SQUARE)
    fault = Fault(2, action, call=LOAD, core=1)
    with serving(keys, fault, cores=2, loads_at_once=1) as served:
        assert served.scheduler.warm_up()
        assert holds(served, 0) == holds(served, 1) == set(keys)


def test_of_two_that_warm_up_at_once_each_gets_its_programs() -> None:
    keys, waits = programs(LYING, STANDING, SQUARE), threading.Event()

    def given_up() -> bool:
        waits.set()
        return False

    hang = Fault(1, call=LOAD, hang=True)
    with serving(keys, hang) as served, ThreadPoolExecutor(2) as pool:
        both = pool.submit(served.scheduler.warm_up, shapes(LYING, STANDING))
        until(lambda: served.device.calls[LOAD, None] == 1)
        one = pool.submit(served.scheduler.warm_up, shapes(SQUARE), given_up)
        assert waits.wait(WAIT_S)
        assert not served.scheduler.warm_up(given_up=lambda: True)  # and stops nobody else's
        served.device.release()
        assert both.result(WAIT_S)
        assert holds(served, 0) >= set(programs(LYING, STANDING))
        assert one.result(WAIT_S)
        assert holds(served, 0) == set(keys)


def test_warm_up_raises_the_error_of_a_load_that_keeps_failing() -> None:
    faults = [Fault(n, Action.BACK_PRESSURE, call=LOAD) for n in (1, 2, 3)]
    with serving(programs(LYING), *faults) as served:
        with pytest.raises(ProgramError, match="load 3: a fault of the schedule"):
            served.scheduler.warm_up()
        assert served.scheduler.warm_up()  # the fourth time


def test_warm_up_raises_the_error_of_a_program_that_fits_on_no_core() -> None:
    says = pytest.raises(ProgramError, match="no memory for 28x42-b1")
    with serving(programs(LYING), cores=2, programs_per_core=0) as served, says:
        served.scheduler.warm_up()


def test_a_reopened_core_loads_its_programs_again() -> None:
    keys = programs(LYING, STANDING, SQUARE)
    with serving(keys, Fault(1, Action.RECYCLE), cores=2) as served:
        assert served.scheduler.warm_up()
        assert is_depth_of(served.submit(images(1)[0]), images(1)[0])
        until(lambda: served.device.calls[LOAD, None] == 9)  # it still holds all when it fails
        until(lambda: holds(served, 0) == holds(served, 1) == set(keys))


def test_requests_go_before_the_programs_of_a_reopened_core() -> None:
    keys = programs(LYING, STANDING, SQUARE)
    loads: list[int] = []  # before each run that does not fail

    def latency(_program: ProgramKey, _core: int) -> float:
        loads.append(device.calls[LOAD, None])
        return 0.0

    device = Device(Model(latency, faults=(Fault(1, Action.RECYCLE),)))
    with Scheduler([device.worker(0)], keys, device.worker) as scheduler:
        assert scheduler.warm_up(shapes(LYING, STANDING, SQUARE))
        assert is_depth_of(scheduler.submit(*asked(images(1)[0])), images(1)[0])
        assert loads == [4]  # its own program only
        until(lambda: holds(Served(scheduler, device), 0) == set(keys))


def test_closing_loads_nothing_more() -> None:
    keys = programs(LYING, STANDING, SQUARE)
    with serving(keys, Fault(1, call=LOAD, hang=True)) as served, ThreadPoolExecutor(1) as pool:
        warming = pool.submit(served.scheduler.warm_up)
        until(lambda: served.device.calls[LOAD, None] == 1)
        closing = threading.Thread(target=served.scheduler.close)
        closing.start()
        until(lambda: served.scheduler._dispatcher.closing)
        served.device.release()
        closing.join(WAIT_S)
        with pytest.raises(ClosedError, match="takes no more work"):
            warming.result(WAIT_S)
        assert served.device.calls[LOAD, None] == 1


def test_giving_up_loads_nothing_more() -> None:
    keys = programs(LYING, STANDING, SQUARE)
    with serving(keys, Fault(1, call=LOAD, hang=True)) as served:
        assert not served.scheduler.warm_up(given_up=lambda: True)
        served.device.release()
        assert is_depth_of(served.submit(images(1)[0]), images(1)[0])
        served.scheduler.close()
        assert served.device.calls[LOAD, None] == 1


@pytest.mark.parametrize("shared", [True, False])
def test_a_shared_program_is_taken_by_every_core_at_once(shared: bool) -> None:
    device = Device(Model(lambda _program, _core: 0.0, faults=(HELD,), load_ms=1.0))
    workers = [device.worker(0), device.worker(1)]
    with Scheduler(workers, programs(LYING), shared=shared) as scheduler:
        first = scheduler.submit(*asked(images(1)[0]))
        until(lambda: device.calls[RUN, None] == 1)
        second = scheduler.submit(*asked(images(2)[1]))
        if shared:
            assert is_depth_of(second, images(2)[1])
            assert not first.done()
        else:  # one image is not worth a copy
            assert not second.running()
        device.release()
        assert is_depth_of(first, images(1)[0])
        assert is_depth_of(second, images(2)[1])


def test_the_answer_says_how_long_it_waited_and_ran() -> None:
    took_s = 0.02
    held = (Fault(1, call=LOAD, hang=True),)
    device = Device(Model(lambda _program, _core: 1e3 * took_s, load_ms=1e3 * took_s, faults=held))
    with Scheduler([device.worker(0)], programs(LYING)) as scheduler:
        began_s = time.monotonic()
        many = [scheduler.submit(*asked(image)) for image in images(3)]
        device.release()
        for nth, pending in enumerate(many, 1):
            pending.result(WAIT_S)
            # For its turn and, the first, for the program.
            assert pending.waited_s >= nth * took_s
            assert pending.ran_s >= took_s
            assert pending.waited_s + pending.ran_s <= time.monotonic() - began_s


class Heavy:
    """What a worker holds while it fails."""


def _fail(_heavy: Heavy) -> None:
    raise KeyError("of the SDK")


def _fail_twice(heavy: Heavy) -> None:
    """An error whose context holds something large, and not its cause."""
    try:
        _fail(heavy)
    except KeyError:
        raise ValueError("of the SDK") from OSError("of the driver")


class Failing:
    """A worker whose failing calls have something large at hand."""

    def __init__(self, calls: list[weakref.ref[Heavy]], fails: Callable[[int], bool]) -> None:
        self._calls, self._fails = calls, fails

    def load(self, _program: ProgramKey) -> None:
        heavy = Heavy()
        self._calls.append(weakref.ref(heavy))
        if self._fails(len(self._calls)):
            try:
                _fail_twice(heavy)
            except ValueError as error:
                raise ProgramError("again", Action.RETRY) from error

    def run(self, program: ProgramKey, _arrays: Arrays) -> Arrays:
        alive.append([ref() is not None for ref in self._calls])
        return {"depth": np.zeros((program.batch, *program.size), np.float32)}

    def unload(self, _program: ProgramKey) -> None: ...

    def close(self) -> None: ...


alive: list[list[bool]] = []


def test_the_memory_of_a_failed_call_is_freed_at_once() -> None:
    """Its memory is needed when it is tried again; the garbage collector may come much later."""
    calls: list[weakref.ref[Heavy]] = []
    alive.clear()
    gc.disable()
    try:
        with Scheduler([Failing(calls, lambda n: n <= 2)], programs(LYING)) as scheduler:
            scheduler.submit(*asked(images(1)[0])).result(WAIT_S)
    finally:
        gc.enable()
    assert alive == [[False, False, False]]


def test_an_error_that_is_its_own_cause_ends_in_a_retry() -> None:
    class Worker(Failing):
        def run(self, _program: ProgramKey, arrays: Arrays) -> Arrays:
            self._calls.append(weakref.ref(Heavy()))
            if len(self._calls) == 2:
                error = ProgramError("again", Action.RETRY)
                raise error from error
            return simulated_outputs(arrays)

    with Scheduler([Worker([], lambda _n: False)], programs(LYING)) as scheduler:
        assert is_depth_of(scheduler.submit(*asked(images(1)[0])), images(1)[0])
