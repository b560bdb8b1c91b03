"""Queues, batches, deadlines and closing, over a simulated device. No test depends on speed."""

from __future__ import annotations

import sys
import threading
from concurrent.futures import CancelledError, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from typing import Callable

import numpy as np
import pytest

from depth.artifact.program import ProgramKey, Shape
from depth.errors import InputError
from depth.maps.result import FloatArray
from serve.arrays import Arrays
from serve.errors import Action, ExpiredError, NoProgramError, ProgramError, QueueFullError
from serve.scheduling.core import Snapshot
from serve.scheduling.scheduler import Scheduler
from tests.support.schedules import (
    HELD,
    LYING,
    SQUARE,
    STANDING,
    WAIT_S,
    images,
    is_depth_of,
    made_limits,
    programs,
    serving,
    shapes,
    until,
)

pytestmark = pytest.mark.usefixtures("runs_per_core")


@pytest.mark.parametrize("batches", [(1,), (4,), (1, 2, 4)], ids=str)
def test_results_are_those_of_single_images_whatever_the_batching(batches: tuple[int, ...]) -> None:
    many = [*images(21), *images(18, STANDING)]
    with serving(programs(LYING, STANDING, batches=batches), cores=3) as served:
        futures = served.submit_all(many)
        assert all(is_depth_of(future, image) for future, image in zip(futures, many))


def test_requests_that_wait_for_a_core_share_a_batch() -> None:
    with serving(programs(LYING, batches=(1, 4)), HELD) as served:
        first = served.hold()
        futures = served.submit_all(images(7))
        served.device.release()
        wait_for([first, *futures], WAIT_S)
        assert served.runs == 3  # 1, 4, and 3 of 4
        assert all(is_depth_of(future, image) for future, image in zip(futures, images(7)))


def test_a_full_batch_does_not_wait_for_its_time() -> None:
    with serving(programs(LYING, batches=(4,)), batch_wait_s=3600.0) as served:
        futures = served.submit_all(images(8))
        assert all(is_depth_of(future, image) for future, image in zip(futures, images(8)))
        assert served.runs == 2


def test_a_batch_that_is_not_full_runs_when_its_time_is_over() -> None:
    with serving(programs(LYING, batches=(4,)), batch_wait_s=0.01) as served:
        assert is_depth_of(served.submit(images(1)[0]), images(1)[0])


def test_a_deadline_shortens_the_wait_for_company() -> None:
    with serving(programs(LYING, batches=(4,)), batch_wait_s=3600.0) as served:
        assert is_depth_of(served.submit(images(1)[0], deadline_s=2.0), images(1)[0])


def test_a_request_expires_at_its_deadline_and_reaches_no_core() -> None:
    with serving(programs(LYING), HELD) as served:
        first = served.hold()
        late = served.submit(images(1)[0], deadline_s=0.02)
        with pytest.raises(ExpiredError, match="its deadline was 0.020 s"):
            late.result(WAIT_S)  # while the core is still held
        served.device.release()
        first.result(WAIT_S)
        served.scheduler.close()
        assert served.runs == 1


def test_a_deadline_that_is_kept_changes_nothing() -> None:
    with serving(programs(LYING)) as served:
        assert is_depth_of(served.submit(images(1)[0], deadline_s=3600.0), images(1)[0])


def test_a_request_can_be_cancelled_until_it_runs() -> None:
    with serving(programs(LYING), HELD) as served:
        running = served.hold()
        waiting = served.submit_all(images(2))
        assert waiting[0].cancel()
        assert not running.cancel()
        served.device.release()
        assert is_depth_of(waiting[1], images(2)[1])
        running.result(WAIT_S)
        assert served.runs == 2
        with pytest.raises(CancelledError):
            waiting[0].result(WAIT_S)


def test_submit_without_wait_raises_queue_full() -> None:
    with serving(programs(LYING, STANDING), HELD, queue_size=2) as served:
        served.hold()
        waiting = served.submit_all(images(2))
        with pytest.raises(QueueFullError, match="2 requests of this shape wait"):
            served.submit(images(1)[0], wait=False)
        served.submit(images(1, STANDING)[0], wait=False)  # which has a queue of its own
        waiting[0].cancel()
        served.submit(images(1)[0], wait=False)


def test_submit_blocks_until_a_full_queue_has_room() -> None:
    many = images(30)
    with serving(programs(LYING), HELD, queue_size=2) as served:
        served.hold()
        futures = served.submit_all(many[:2])
        rest = threading.Thread(target=lambda: futures.extend(served.submit_all(many[2:])))
        rest.start()
        rest.join(0.05)
        assert rest.is_alive()
        assert len(futures) == 2
        served.device.release()
        rest.join(WAIT_S)
        assert all(is_depth_of(future, image) for future, image in zip(futures, many))


def test_waiting_for_room_ends_with_the_deadline() -> None:
    with serving(programs(LYING), HELD, queue_size=1) as served:
        served.hold()
        served.submit(images(1)[0])
        with pytest.raises(ExpiredError, match="queue was full"):
            served.submit(images(1)[0], deadline_s=0.02)


@pytest.mark.parametrize("deadline_s", [None, 1e10])
def test_a_request_that_is_cancelled_makes_room(deadline_s: float | None) -> None:
    with serving(programs(LYING), HELD, queue_size=1) as served, ThreadPoolExecutor(1) as pool:
        served.hold()
        waiting = served.submit(images(1)[0])
        blocked = pool.submit(served.submit, images(2)[1], deadline_s=deadline_s)
        until(lambda: served.scheduler._callers == 1)
        assert waiting.cancel()
        future = blocked.result(WAIT_S)  # while the core is still held
        served.device.release()
        assert is_depth_of(future, images(2)[1])


def test_a_callback_may_use_the_scheduler() -> None:
    seen: list[Snapshot] = []
    with serving(programs(LYING)) as served:
        future = served.submit(images(1)[0])
        future.add_done_callback(lambda _: seen.append(served.scheduler.snapshot()))
        future.result(WAIT_S)
        served.scheduler.close()
    assert seen == [Snapshot(0, 0, 1, 1, 0)]


def test_a_callback_that_would_end_the_thread_takes_no_answer_from_others() -> None:
    with serving(programs(LYING, batches=(1, 4)), HELD) as served:
        first = served.hold()
        futures = served.submit_all(images(4))
        futures[0].add_done_callback(lambda _: sys.exit(1))
        served.device.release()
        assert all(is_depth_of(future, image) for future, image in zip(futures, images(4)))
        assert is_depth_of(served.submit(images(1)[0]), images(1)[0])
        first.result(WAIT_S)


def test_the_snapshot_counts_what_waits_and_runs() -> None:
    with serving(programs(LYING), HELD, cores=1) as served:
        served.hold()
        served.submit_all(images(3))
        assert served.scheduler.snapshot() == Snapshot(
            waiting=3, running=1, cores=1, cores_in_service=1, retries=0
        )


def test_a_size_without_a_program_is_refused() -> None:
    with serving(programs(LYING)) as served, pytest.raises(NoProgramError, match="there are 28x42"):
        served.submit(images(1, SQUARE)[0])


def test_a_request_without_arrays_or_time_is_refused() -> None:
    with serving(programs(LYING)) as served:
        with pytest.raises(InputError, match="without arrays"):
            served.scheduler.submit({}, *shapes(LYING))
        with pytest.raises(InputError, match="must be above 0"):
            served.submit(images(1)[0], deadline_s=0.0)


@pytest.mark.parametrize("change", [lambda x: x[:1], lambda x: x.astype(np.float64), lambda x: x.T])
def test_arrays_that_do_not_go_with_the_others_fail_alone(
    change: Callable[[FloatArray], FloatArray],
) -> None:
    many = images(4)
    with serving(programs(LYING, batches=(4,)), HELD) as served:
        first = served.hold()
        futures = served.submit_all(many[:2])
        wrong = served.scheduler.submit({"images": change(many[2])}, *shapes(LYING))
        futures.append(served.submit(many[3]))
        served.device.release()
        with pytest.raises(ProgramError, match="expected float32") as caught:
            wrong.result(WAIT_S)
        assert caught.value.action is Action.REQUEST_FAULT
        right = zip(futures, [*many[:2], many[3]])
        assert all(is_depth_of(future, image) for future, image in right)
        first.result(WAIT_S)


class Echo:
    """A worker that gives back what it gets, under other names."""

    def __init__(self) -> None:
        self.batches: list[Arrays] = []

    def load(self, _program: ProgramKey) -> None: ...

    def run(self, program: ProgramKey, arrays: Arrays) -> Arrays:
        assert all(len(array) == program.batch for array in arrays.values())
        self.batches.append({f"{name} again": array for name, array in arrays.items()})
        return self.batches[-1]

    def close(self) -> None: ...


def test_it_stacks_and_splits_arrays_of_any_name_and_shape_and_copies_no_answer() -> None:
    worker, shape = Echo(), Shape(28, 42, views=3, stage="trunk")
    many = [{"tokens": np.full((3, 6, 8), n), "pose": np.full(9, -n)} for n in range(5)]
    keys = [shape.batch_of(1), shape.batch_of(4)]
    with Scheduler([worker], keys, limits=made_limits(batch_wait_s=0.05)) as scheduler:
        assert scheduler.shapes == [shape]
        futures = [scheduler.submit(arrays, shape) for arrays in many]
        for arrays, future in zip(many, futures):
            found = future.result(WAIT_S)
            assert set(found) == {"tokens again", "pose again"}
            assert all(np.array_equal(found[f"{name} again"], arrays[name]) for name in arrays)
            assert any(
                np.shares_memory(found["tokens again"], batch["tokens again"])
                for batch in worker.batches
            )
        assert sorted(len(batch["pose again"]) for batch in worker.batches) == [1, 4]
        with pytest.raises(NoProgramError, match="there are 28x42-s3-trunk"):
            scheduler.submit(many[0], Shape(28, 42))


def test_a_scheduler_needs_workers_and_programs() -> None:
    with pytest.raises(InputError, match="at least one worker"):
        Scheduler([], programs(LYING))
