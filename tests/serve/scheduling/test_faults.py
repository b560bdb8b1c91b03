"""What happens when cores fail: every request is answered once, rightly or with a clear error."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import Future
from contextlib import suppress

import numpy as np
import pytest

from depth.artifact.program import ProgramKey
from serve.arrays import Arrays
from serve.errors import Action, ClosedError, OutOfServiceError, ProgramError
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
)
from tests.support.simulated import LOAD, RUN, Device, Fault, Model

pytestmark = pytest.mark.usefixtures("runs_per_core")


def in_service(served: Served) -> int:
    return served.scheduler.snapshot().cores_in_service


def failure(future: Future[Arrays]) -> ProgramError:
    error = future.exception(WAIT_S)
    assert isinstance(error, ProgramError)
    return error


@pytest.mark.parametrize("call", [RUN, LOAD])
@pytest.mark.parametrize(
    "action", [None, Action.RETRY, Action.BACK_PRESSURE, Action.RECYCLE, Action.REPLACE]
)
def test_no_caller_sees_a_single_failure_of_a_core(action: Action, call: str) -> None:
    many = images(12)
    with serving(programs(LYING), Fault(1, action, call=call), cores=2) as served:
        futures = served.submit_all(many)
        assert all(is_depth_of(future, image) for future, image in zip(futures, many))
        assert served.scheduler.snapshot().retries == 1
        assert in_service(served) == (1 if action is Action.REPLACE else 2)


def test_it_is_tried_again_on_another_core() -> None:
    fault = Fault(1, Action.RETRY, core=0)
    with serving(programs(LYING), fault, cores=2) as served:
        assert is_depth_of(served.submit(images(1)[0]), images(1)[0])
        assert (served.device.calls[RUN, 0], served.device.calls[RUN, 1]) == (1, 1)


def test_after_three_tries_the_request_gets_the_error() -> None:
    faults = [Fault(n, Action.RETRY) for n in (1, 2, 3)]
    with serving(programs(LYING), *faults, cores=4) as served:
        error = failure(served.submit(images(1)[0]))
        assert "tried 3 times, last on core 2" in str(error)
        assert error.action is Action.RETRY
        assert in_service(served) == 4
        assert is_depth_of(served.submit(images(1)[0]), images(1)[0])


def test_a_core_that_is_recycled_gets_a_new_worker() -> None:
    with serving(programs(LYING), Fault(1, Action.RECYCLE)) as served:
        old = served.scheduler._core_threads[0].worker
        assert is_depth_of(served.submit(images(1)[0]), images(1)[0])
        assert old.closed
        assert served.device.calls[LOAD, 0] == 2


def test_a_core_that_keeps_failing_is_recycled_and_then_removed() -> None:
    faults = [Fault(n, Action.RETRY) for n in range(1, 7)]
    with serving(programs(LYING), *faults) as served:
        for _ in range(2):
            assert "tried 3 times" in str(failure(served.submit(images(1)[0])))
        with pytest.raises(OutOfServiceError):
            served.submit(images(1)[0])
        # Opened again after the third failure in a row and after each that followed.
        assert (served.runs, served.device.calls[LOAD, 0]) == (6, 4)


def test_without_a_factory_a_core_to_recycle_goes_out_of_service() -> None:
    many = images(8)
    fault = Fault(1, Action.RECYCLE)
    with serving(programs(LYING), fault, cores=2, reopens=False) as served:
        futures = served.submit_all(many)
        assert all(is_depth_of(future, image) for future, image in zip(futures, many))
        assert in_service(served) == 1


def test_a_core_that_cannot_be_opened_again_goes_out_of_service() -> None:
    def reopen(core: int) -> None:
        raise OSError(f"no such device: {core}")

    device = Device(Model(lambda _program, _core: 0.0, faults=(Fault(1, Action.RECYCLE),)))
    with Scheduler([device.worker(0)], programs(LYING), reopen) as scheduler:
        future = scheduler.submit(*asked(images(1)[0]))
        with pytest.raises(OutOfServiceError, match="no such device: 0"):
            future.result(WAIT_S)


def test_every_request_fails_when_no_core_is_left() -> None:
    faults = [HELD, *(Fault(n, Action.REPLACE, core=n % 2) for n in (1, 2))]
    with serving(programs(LYING), *faults, cores=2) as served:
        first = served.hold()
        futures = [first, *served.submit_all(images(30))]
        served.device.release()
        for future in futures[1:]:
            with pytest.raises((OutOfServiceError, ProgramError), match="core"):
                raise future.exception(WAIT_S) or AssertionError("answered by a dead core")
        with pytest.raises(OutOfServiceError, match="every core is out of service"):
            served.submit(images(1)[0])
        assert in_service(served) == 0


def test_of_a_batch_only_the_request_at_fault_fails() -> None:
    many = images(9)
    many[4][:] = np.nan
    with serving(programs(LYING, batches=(8,)), HELD) as served:
        served.hold()
        futures = served.submit_all(many)
        served.device.release()
        assert failure(futures[4]).action is Action.REQUEST_FAULT
        good = [(f, i) for f, i in zip(futures, many) if f is not futures[4]]
        assert all(is_depth_of(future, image) for future, image in good)
        assert in_service(served) == 1


def test_a_fault_of_the_program_is_not_tried_again() -> None:
    with serving(programs(LYING), Fault(1, Action.ARTIFACT_FAULT, call=LOAD), cores=2) as served:
        assert failure(served.submit(images(1)[0])).action is Action.ARTIFACT_FAULT
        assert served.device.calls[LOAD, None] == 1


class Broken:
    """A worker with a bug: what it does is no failure that anybody foresaw."""

    def __init__(self, outputs: Arrays | None = None) -> None:
        self.outputs = outputs

    def load(self, program: ProgramKey) -> None: ...

    def run(self, program: ProgramKey, arrays: Arrays) -> Arrays:
        if self.outputs is None:
            raise KeyError(program, arrays)
        return self.outputs

    def close(self) -> None:
        raise KeyError("bug")


def test_a_bug_in_a_worker_is_an_error_of_ours_and_does_not_hang() -> None:
    with Scheduler([Broken()] * 4, programs(LYING)) as scheduler:
        error = failure(scheduler.submit(*asked(images(1)[0])))
        assert "tried 3 times" in str(error)
        assert isinstance(error.__cause__, KeyError)


@pytest.mark.parametrize("shape", [(), (2, 28, 42)], ids=str)
def test_an_output_that_cannot_be_split_is_refused(shape: tuple[int, ...]) -> None:
    worker = Broken({"depth": np.zeros(shape, np.float32)})
    with Scheduler([worker], programs(LYING)) as scheduler:
        error = failure(scheduler.submit(*asked(images(1)[0])))
        assert f"output depth has shape {list(shape)}, expected 1 in front" in str(error)
        assert error.action is Action.ARTIFACT_FAULT


def test_a_core_that_hangs_is_left_and_its_request_done_elsewhere() -> None:
    many = images(10)
    with serving(programs(LYING), HELD, cores=2, run_timeout_s=1.0) as served:
        first = served.hold()
        futures = served.submit_all(many)
        assert first.result(WAIT_S)["depth"].shape == LYING
        assert all(is_depth_of(future, image) for future, image in zip(futures, many))
        assert in_service(served) == 1
        served.device.release()  # what the lost core says now, nobody hears
        served.scheduler.close()
        assert served.runs == 12


def test_a_request_that_hangs_two_cores_is_not_given_a_third() -> None:
    faults = [Fault(1, hang=True), Fault(2, hang=True)]
    with serving(programs(LYING), *faults, cores=3, run_timeout_s=1.0) as served:
        error = failure(served.submit(images(1)[0]))
        assert "tried 2 times" in str(error)
        assert "no answer within 1 s" in str(error)
        assert is_depth_of(served.submit(images(1)[0]), images(1)[0])
        assert in_service(served) == 1


def test_a_core_that_hangs_while_loading_is_left_too() -> None:
    fault = Fault(1, call=LOAD, hang=True)
    with serving(programs(LYING), fault, cores=2, load_timeout_s=1.0) as served:
        assert is_depth_of(served.submit(images(1)[0]), images(1)[0])
        assert in_service(served) == 1


def test_every_request_fails_when_the_only_core_hangs() -> None:
    with serving(programs(LYING), HELD, run_timeout_s=1.0) as served:
        told = [served.hold()]
        with suppress(OutOfServiceError):  # a machine that takes longer for this than the time-out
            told += [served.submit(image) for image in images(3)]
        for future in told:
            with pytest.raises(OutOfServiceError, match="no answer within"):
                future.result(WAIT_S)


def test_without_memory_the_least_recently_used_program_makes_room() -> None:
    with serving(programs(LYING, STANDING, SQUARE), programs_per_core=2) as served:
        for size in (LYING, STANDING, LYING, SQUARE, LYING):
            image = images(1, size)[0]
            assert is_depth_of(served.submit(image), image)
        assert served.device.calls[LOAD, 0] == 4  # one of them in vain, before it made room
        held = served.scheduler._core_threads[0]
        assert held.worker.loaded == set(held.core.loaded) == set(programs(LYING, SQUARE))


def test_a_program_that_fits_on_no_core_is_an_error() -> None:
    with serving(programs(LYING), programs_per_core=0, cores=4) as served:
        error = failure(served.submit(images(1)[0]))
        assert error.action is Action.UNLOAD
        assert "no memory for 28x42-b1" in str(error)
        assert in_service(served) == 4


def test_warming_up_loads_every_program_on_every_core() -> None:
    with serving(programs(LYING, STANDING, batches=(1, 4)), cores=3) as served:
        assert served.scheduler.warm_up()
        assert served.device.calls[LOAD, None] == 12
        assert is_depth_of(served.submit(images(1)[0]), images(1)[0])
        assert served.device.calls[LOAD, None] == 12


def test_warming_up_ends_where_memory_does() -> None:
    with serving(programs(LYING, STANDING), cores=2, programs_per_core=1) as served:
        assert served.scheduler.warm_up()
        held = [each.worker.loaded for each in served.scheduler._core_threads]
        assert sorted(map(len, held)) == [1, 1]
        assert set.union(*held) == set(programs(LYING, STANDING))


def test_warming_up_says_when_a_program_loads_nowhere() -> None:
    faults = [Fault(n, Action.ARTIFACT_FAULT, call=LOAD) for n in (1, 2)]
    with serving(programs(LYING), *faults, cores=2) as served:
        with pytest.raises(ProgramError, match="load 2"):
            served.scheduler.warm_up()
        assert in_service(served) == 2


def test_warming_up_says_when_no_core_is_left() -> None:
    fault = Fault(1, Action.REPLACE, call=LOAD)
    with serving(programs(LYING), fault) as served, pytest.raises(OutOfServiceError):
        served.scheduler.warm_up()


def test_a_closed_scheduler_does_not_warm_up() -> None:
    with serving(programs(LYING)) as served:
        served.scheduler.close()
        with pytest.raises(ClosedError):
            served.scheduler.warm_up()


def test_warm_up_stops_when_given_up() -> None:
    with serving(programs(LYING), Fault(1, call=LOAD, hang=True)) as served:
        assert not served.scheduler.warm_up(given_up=lambda: True)


def test_among_many_failures_every_request_is_answered_exactly_once() -> None:
    actions = [Action.RETRY, Action.RECYCLE, None, Action.BACK_PRESSURE, Action.REPLACE]
    faults = [Fault(40 * n, action) for n, action in enumerate(actions * 2, 1)]
    keys = programs(LYING, STANDING, SQUARE, batches=(1, 4))
    many = [image for size in (LYING, STANDING, SQUARE) for image in images(200, size)]
    order = np.random.default_rng(0).permutation(len(many))
    answered: Counter[int] = Counter()
    with serving(keys, *faults, cores=4, programs_per_core=4) as served:
        futures = []
        for index in order:
            futures.append(served.submit(many[index]))
            futures[-1].add_done_callback(lambda _, index=index: answered.update([index]))
        assert all(is_depth_of(future, many[index]) for future, index in zip(futures, order))
        served.scheduler.close()
        assert in_service(served) >= 2
    assert answered == Counter(range(600))
