"""The engine's doors: waiting, deadlines, cancelling, closing, forks."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from dataclasses import replace

import numpy as np
import pytest

from serve.backend import Backend
from serve.engine import Engine, Prepared, Raw
from serve.errors import ClosedError, ExpiredError, NoProgramError, ProgramError, QueueFullError
from serve.library import Library
from serve.scheduling.worker import Limits
from serve.shapes import BUCKETS, EXACT
from tests.support.engines import depth_of, image_of, images_of, is_depth_of, library_of
from tests.support.neuron_machine import forked
from tests.support.schedules import HELD, LYING, SQUARE, STANDING, WAIT_S, programs
from tests.support.simulated import RUN, Device, Fault, Model


class Held:
    """An engine on one simulated core; the first run does not end before `release`."""

    def __init__(self, *faults: Fault, queue_size: int = 64) -> None:
        model = Model(lambda _program, _core: 0.0, faults=(HELD, *faults))
        self.device = Device(model)
        self.release = self.device.release
        self._limits = Limits(queue_size=queue_size)
        self.engine = Engine(library_of(programs(LYING)), BUCKETS, backend=self.backend)

    def hold(self) -> threading.Thread:
        """Begin the run that hangs, and wait until it has begun."""
        first = image_of(self.engine, LYING, seed=99)
        thread = threading.Thread(target=self.engine.run, args=(first,))
        thread.start()
        begun = threading.Event()
        while not self.device.calls[RUN, None]:
            begun.wait(0.001)
        return thread

    def images(self, count: int) -> list[Prepared]:
        return images_of(self.engine, count, LYING)

    def backend(self, _library: Library, _images: int) -> Backend:
        worker = self.device.worker
        return Backend([worker(0)], worker, images_at_once=1, limits=self._limits)


@pytest.fixture(name="held")
def held_fixture() -> Iterator[Held]:
    held = Held(queue_size=2)
    yield held
    held.release()
    held.engine.close()


def test_a_run_that_cannot_start_before_its_deadline_expires(held: Held) -> None:
    held.hold()
    with pytest.raises(ExpiredError, match="its deadline was 0.020 s"):
        held.engine.run(held.images(1)[0], deadline_s=0.02)
    held.release()
    raw = held.engine.run(held.images(1)[0], deadline_s=3600.0)
    assert is_depth_of(raw.outputs, held.images(1)[0])


def test_a_submitted_image_can_be_cancelled_until_it_runs(held: Held) -> None:
    held.hold()
    first, second = (held.engine.submit(one) for one in held.images(2))
    assert first.cancel()
    held.release()
    assert is_depth_of(second.result(WAIT_S), held.images(2)[1])
    with pytest.raises(CancelledError):
        Raw.of(first, held.images(1)[0])
    assert not second.cancel()
    assert held.device.calls[RUN, None] == 2


def test_submit_without_wait_raises_queue_full(held: Held) -> None:
    held.hold()
    waiting = [held.engine.submit(one, wait=False) for one in held.images(2)]
    with pytest.raises(QueueFullError, match="2 requests of this shape wait"):
        held.engine.submit(held.images(1)[0], wait=False)
    held.release()
    for pending, one in zip(waiting, held.images(2)):
        raw = Raw.of(pending, one)
        assert is_depth_of(raw.outputs, one)
        assert raw.wait_ms > 0


def test_closing_finishes_what_waits_and_takes_no_more(held: Held) -> None:
    holding = held.hold()
    many = held.images(2)
    with ThreadPoolExecutor(3) as pool:
        waiting = [held.engine.submit(one) for one in many]
        closing = pool.submit(held.engine.close)
        begun = threading.Event()
        while not held.engine._cores._closed:
            begun.wait(0.001)
        with pytest.raises(NotYet):
            closing.result(0.05)
        with pytest.raises(ClosedError, match="takes no more work"):  # at once
            held.engine.run(many[0])
        held.release()
        closing.result(WAIT_S)
        assert all(is_depth_of(p.result(0), one) for p, one in zip(waiting, many))
    holding.join(WAIT_S)
    with pytest.raises(ClosedError):
        held.engine.make_ready([LYING])
    held.engine.close()


def test_a_closed_engine_still_knows_what_its_results_are(held: Held) -> None:
    held.release()
    (one,) = held.images(1)
    raw = held.engine.run(one)
    held.engine.close()
    result = held.engine.finish(raw)
    assert np.array_equal(result.depth.values, depth_of(one))
    assert result.depth.kind == "relative_inverse"
    assert result.provenance.shape_policy == BUCKETS
    assert result.provenance.steps == ("resize", "normalise", "resize_back")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_depth_that_is_not_finite_is_refused(held: Held, value: float) -> None:
    held.release()
    (one,) = held.images(1)
    raw = held.engine.run(one)
    values = raw.outputs["depth"].copy()
    values[1, 2] = value
    with pytest.raises(ProgramError, match="depth is not finite"):
        held.engine.finish(replace(raw, outputs={"depth": values}))


def test_an_engine_that_was_never_used_closes() -> None:
    with Engine(library_of(programs(LYING))) as engine:
        pass
    with pytest.raises(ClosedError):
        engine.make_ready([LYING])
    assert engine.make_ready([])  # nothing needs nothing


def test_a_size_without_a_program_says_how_to_get_it() -> None:
    with Engine(library_of(programs(LYING, SQUARE)), EXACT) as engine:
        with pytest.raises(NoProgramError, match="compile build --size 42x28"):
            image_of(engine, STANDING)
        with pytest.raises(NoProgramError, match="compile build --size 42x28"):
            engine.make_ready([STANDING])


def test_a_forked_process_is_refused_and_does_not_hang(held: Held) -> None:
    held.hold()
    (one,) = held.images(1)
    told = forked(lambda: held.engine.run(one))
    assert 'start workers with multiprocessing.get_context("spawn")' in told
    assert "start workers with" in forked(lambda: held.engine.make_ready([LYING]))
    assert forked(held.engine.close) == ""
    held.release()
    assert is_depth_of(held.engine.run(one).outputs, one)


def test_sizes_that_are_built_later_are_served_too(held: Held) -> None:
    held.release()
    library = library_of(programs(LYING), builds=True)
    with Engine(library, EXACT, backend=held.backend) as engine:
        for size in (LYING, STANDING, SQUARE):
            engine.make_ready([size])
            one = image_of(engine, size)
            assert is_depth_of(engine.run(one).outputs, one)
    assert library.sizes == [LYING, STANDING, SQUARE]
