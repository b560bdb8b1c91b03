"""Closing a scheduler: which requests finish, and which callers get an error."""

from __future__ import annotations

import threading
from concurrent.futures import wait as wait_for

import pytest

from serve.errors import ClosedError
from tests.support.schedules import (
    HELD,
    LYING,
    WAIT_S,
    images,
    is_depth_of,
    programs,
    serving,
)


def test_closing_finishes_queued_requests() -> None:
    many = images(20)
    with serving(programs(LYING, batches=(1, 8)), HELD, batch_wait_s=3600.0) as served:
        futures = served.submit_all(many)
        served.device.release()
        served.scheduler.close()
        assert all(future.done() for future in futures)
        assert all(is_depth_of(future, image) for future, image in zip(futures, many))
        with pytest.raises(ClosedError, match="takes no more work"):
            served.submit(many[0])


def test_closing_with_cancel_finishes_only_started_runs() -> None:
    with serving(programs(LYING), HELD) as served:
        running, waiting = served.hold(), served.submit_all(images(5))
        closing = threading.Thread(target=served.scheduler.close, args=(True,))
        closing.start()
        wait_for(waiting, WAIT_S)
        assert all(future.cancelled() for future in waiting)
        assert not running.done()
        served.device.release()
        closing.join(WAIT_S)
        assert is_depth_of(running, images(1, seed=99)[0])
        assert served.runs == 1


def test_closing_ends_the_wait_for_room() -> None:
    with serving(programs(LYING), HELD, queue_size=1) as served:
        served.hold()
        served.submit(images(1)[0])
        errors: list[Exception] = []

        def submit() -> None:
            try:
                served.submit(images(1)[0])
            except ClosedError as error:
                errors.append(error)

        blocked = threading.Thread(target=submit)
        blocked.start()
        blocked.join(0.05)
        closing = threading.Thread(target=served.scheduler.close)
        closing.start()
        blocked.join(WAIT_S)
        assert len(errors) == 1
        served.device.release()
        closing.join(WAIT_S)


def test_an_error_in_the_with_block_cancels_queued_requests() -> None:
    with serving(programs(LYING), HELD) as served:
        served.hold()
        waiting = served.submit(images(1)[0])
        waiting.add_done_callback(lambda _: served.device.release())
        with pytest.raises(ZeroDivisionError), served.scheduler:
            raise ZeroDivisionError
        assert waiting.cancelled()


def test_closing_ends_every_thread(runs_per_core: int) -> None:
    before = set(threading.enumerate())
    with serving(programs(LYING), cores=3) as served:
        # Those of the cores, and one for the time.
        assert len(set(threading.enumerate()) - before) == 3 * runs_per_core + 1
        served.submit(images(1)[0])
    assert set(threading.enumerate()) <= before
