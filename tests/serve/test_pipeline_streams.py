"""Streams of images from Python: in order, in bounded memory, with deadlines; asyncio, threads."""

from __future__ import annotations

import asyncio
import itertools
import signal
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from depth.errors import ImageError
from depth.images.given import hold
from serve.backend import Backend
from serve.errors import ClosedError, ExpiredError, OutOfServiceError
from serve.pipeline import RETURN, DepthPipeline
from serve.scheduling.worker import Limits
from serve.shapes import BUCKETS
from tests.support.hostile import encoded, picture
from tests.support.manifests import made_artifact, made_manifest
from tests.support.neuron_machine import forked
from tests.support.schedules import HELD, LYING, WAIT_S, programs
from tests.support.simulated import RUN, Device, Model


def images(count: int) -> list[bytes]:
    return [encoded(picture(*LYING, seed=seed), "PNG", compress_level=1) for seed in range(count)]


class Slow:
    """A pipeline on one simulated core, whose first run does not end before `release`."""

    def __init__(self, held: bool = True) -> None:
        model = Model(lambda _program, _core: 0.0, faults=(HELD,) if held else ())
        self.device = Device(model)
        self.pipeline = DepthPipeline(
            lambda _sizes: [made_artifact(made_manifest(programs(LYING)))],
            policy=BUCKETS,
            sizes=[LYING],
            backend=lambda *_: Backend([self.device.worker(0)], None, 2, limits=Limits()),
        )

    def begun(self) -> None:
        while not self.device.calls[RUN, None]:
            threading.Event().wait(0.001)


@pytest.fixture(name="slow")
def slow_fixture() -> Iterator[Slow]:
    slow = Slow()
    yield slow
    slow.device.release()
    slow.pipeline.close()


def test_results_come_in_order_and_an_endless_iterator_is_read_a_little_ahead() -> None:
    slow = Slow(held=False)
    taken: list[int] = []

    def endless() -> Iterator[bytes]:
        for index in itertools.cycle(range(len(many))):
            taken.append(index)
            yield many[index]

    many = images(7)
    with slow.pipeline as pipeline:
        wanted = [pipeline(each).depth.values for each in many]
        results = pipeline.stream(endless())
        assert taken == []
        for count, result in enumerate(itertools.islice(results, 30)):
            assert np.array_equal(result.depth.values, wanted[count % 7])
            assert len(taken) <= count + 1 + 8
        results.close()
        assert len(pipeline(many)) == 7
        assert pipeline([]) == []


def test_an_array_may_change_once_the_stream_has_taken_it() -> None:
    frame = np.zeros((*LYING, 3), np.uint8)

    def camera() -> Iterator[Any]:
        for value in range(20):
            frame[:] = value
            yield frame

    assert not np.shares_memory(hold(frame, "bgr").open().pixels, frame)
    with Slow(held=False).pipeline as pipeline:
        found = [each.depth.values.copy() for each in pipeline.stream(camera())]
        for value, values in enumerate(found):
            frame[:] = value
            assert np.array_equal(values, pipeline(frame).depth.values)


def test_a_deadline_that_passes_before_a_core_is_free(slow: Slow) -> None:
    first, second = images(2)
    with ThreadPoolExecutor(1) as pool:
        holding = pool.submit(slow.pipeline, first)
        slow.begun()
        with pytest.raises(ExpiredError, match="its deadline was 0.0"):
            slow.pipeline(second, deadline_s=0.05)
        with pytest.raises(ExpiredError, match="call `warm_up` first"):
            slow.pipeline(second, deadline_s=1e-9)
        (late,) = slow.pipeline([second], errors=RETURN, deadline_s=0.05)
        assert isinstance(late, ExpiredError)
        slow.device.release()
        holding.result(WAIT_S)
    assert not isinstance(slow.pipeline(second, deadline_s=60.0), Exception)


def test_closing_a_stream_drops_what_has_not_begun(
    slow: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    many, all_taken, gate = images(1) * 8, threading.Event(), threading.Event()
    begun: list[Any] = []

    def one(held: Any, *_: Any) -> None:
        begun.append(held)
        assert (all_taken if len(begun) == 1 else gate).wait(WAIT_S)

    def taken() -> Iterator[bytes]:
        yield from many
        raise AssertionError("more than twice the workers are taken")

    def last_taken(image: Any, *_: Any) -> Any:
        left.pop()
        if not left:
            all_taken.set()
        return image

    left = [*many]
    monkeypatch.setattr(slow.pipeline.stage, "result", one)
    monkeypatch.setattr(slow.pipeline, "_hold", last_taken)
    results = slow.pipeline.stream(taken())
    assert next(results) is None
    threading.Timer(0.3, gate.set).start()
    results.close()
    assert len(begun) < len(many)
    assert next(results, "nothing") == "nothing"


def test_a_closed_pipeline_takes_no_more(slow: Slow) -> None:
    slow.device.release()
    (one,) = images(1)
    with slow.pipeline as pipeline:
        results = pipeline.stream(itertools.repeat(one))
        next(results)
    for refused in (
        lambda: pipeline(one),
        lambda: pipeline(one, errors=RETURN),
        lambda: list(results),
        lambda: list(pipeline.stream([one])),
    ):
        with pytest.raises(ClosedError):
            refused()
    pipeline.close()


def test_a_device_without_cores_ends_a_stream_even_if_errors_are_values() -> None:
    with Slow(held=False).pipeline as pipeline:
        (one,) = images(1)

        def gone(*_: Any) -> Any:
            raise OutOfServiceError("no core is left")

        pipeline.stage.engine.run = gone
        with pytest.raises(OutOfServiceError):
            list(pipeline.stream(itertools.repeat(one), errors=RETURN))


def test_asyncio_gets_the_same_and_its_loop_goes_on() -> None:
    many = images(9)
    slow = Slow(held=False)
    gate = threading.Event()

    def blocking() -> Iterator[bytes]:
        for each in many:
            assert gate.wait(WAIT_S)  # a loop that is blocked never sets it
            yield each

    async def later() -> AsyncIterator[bytes]:
        for each in [*many, b"no"]:
            await asyncio.sleep(0)
            yield each

    async def main() -> tuple[list[Any], list[Any], list[Any]]:
        asyncio.get_running_loop().call_later(0.05, gate.set)
        first = [each async for each in slow.pipeline.async_stream(blocking())]
        second = [each async for each in slow.pipeline.async_stream(later(), errors=RETURN)]
        runs = [slow.pipeline.async_run(each) for each in many]
        return first, second, list(await asyncio.gather(*runs))

    with slow.pipeline as pipeline:
        first, second, third = asyncio.run(main())
        assert isinstance(second.pop(), ImageError)
        for wanted, *found in zip(pipeline(many), first, second, third):
            values = wanted.depth.values
            assert all(np.array_equal(each.depth.values, values) for each in found)


def test_async_with_closes_and_the_loop_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    slow, gate = Slow(held=False), threading.Event()
    (one,) = images(1)
    close = slow.pipeline.stage.close

    def held_close() -> None:
        assert gate.wait(WAIT_S)  # a loop that is blocked never sets it
        close()

    monkeypatch.setattr(slow.pipeline.stage, "close", held_close)

    async def main() -> None:
        async with slow.pipeline as pipeline:
            await pipeline.async_run(one)
            asyncio.get_running_loop().call_later(0.05, gate.set)
        with pytest.raises(ClosedError):
            await pipeline.async_run(one)
        await pipeline.aclose()

    asyncio.run(main())


def test_an_asynchronous_stream_is_bounded_and_can_be_left() -> None:
    slow = Slow(held=False)
    (one,) = images(1)
    taken = itertools.count()

    def endless() -> Iterator[bytes]:
        while True:
            next(taken)
            yield one

    async def main() -> None:
        results = slow.pipeline.async_stream(endless())
        for _ in range(5):
            await results.__anext__()
        await results.aclose()
        task = asyncio.ensure_future(slow.pipeline.async_run(one))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(ImageError):
            await slow.pipeline.async_run(b"no")

    with slow.pipeline:
        asyncio.run(main())
    assert next(taken) <= 5 + 8 + 1


def test_many_threads_share_a_pipeline() -> None:
    many = images(12)
    with Slow(held=False).pipeline as pipeline, ThreadPoolExecutor(6) as pool:
        found = list(pool.map(pipeline, many))
        for each, result in zip(many, found):
            assert np.array_equal(result.depth.values, pipeline(each).depth.values)


def test_a_forked_child_is_refused() -> None:
    (one,) = images(1)
    with Slow(held=False).pipeline as pipeline:
        pipeline(one)
        assert "forked" in forked(lambda: pipeline(one))
        pipeline.stage._ready.clear()
        with (
            pipeline.stage._making
        ):  # a thread of the owner is making a program; its lock stays held
            assert "forked" in forked(lambda: (signal.alarm(10), pipeline(one)))


def test_warm_up_makes_and_runs_the_programs() -> None:
    slow = Slow(held=False)
    with slow.pipeline as pipeline:
        pipeline.warm_up()
        runs = slow.device.calls[RUN, None]
        assert runs > 0
        pipeline.warm_up([LYING])
        assert slow.device.calls[RUN, None] == runs + 1
