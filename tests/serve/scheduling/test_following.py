"""A core that is handed its next run while it is at one, so that it goes on without the host."""

from __future__ import annotations

from concurrent.futures import Future

import pytest

from serve.arrays import Arrays
from serve.errors import Action, OutOfServiceError, ProgramError
from serve.scheduling.core import CoreState, RunResult
from serve.scheduling.queues import Request
from tests.support.schedules import (
    LYING,
    STANDING,
    WAIT_S,
    Served,
    Virtual,
    answers,
    images,
    is_depth_of,
    made_limits,
    programs,
    serving,
    until,
)
from tests.support.simulated import LOAD, RUN, Fault

TWO = made_limits(runs_per_core=2)


def warm(cores: Virtual) -> list[CoreState]:
    """All cores hold the programs, and these have run once: from 2 s on nothing runs."""
    for core in cores.state.cores:
        core.loaded.update(dict.fromkeys(cores.keys))
    for program in cores.keys:
        cores.play([(1.0, program.size)] * program.batch)
    cores.state.answered.clear()
    return list(cores.state.cores)


def arrive(cores: Virtual, now_s: float, count: int = 1, within_s: float = 1e9) -> None:
    """Requests that expire `within_s` from now."""
    for _ in range(count):
        request = cores.request(now_s, LYING)
        request.expires_s = now_s + within_s
        cores.state.schedule(request, 0.0)
        cores.state.dispatch(now_s)


@pytest.mark.parametrize(("runs", "handed"), [(1, 1), (2, 2), (3, 3)])
def test_a_core_has_at_most_runs_per_core_runs(runs: int, handed: int) -> None:
    cores = Virtual(programs(LYING), cores=1, limits=made_limits(runs_per_core=runs))
    (core,) = warm(cores)
    arrive(cores, 2.0, count=5)
    assert (len(core.runs), cores.state.snapshot().waiting) == (handed, 5 - handed)


def test_an_idle_core_goes_before_one_that_runs() -> None:
    cores = Virtual(programs(LYING), cores=3, limits=TWO)
    first, second, third = warm(cores)
    arrive(cores, 2.0, count=3)
    assert [len(core.runs) for core in (first, second, third)] == [1, 1, 1]


def test_the_core_that_is_free_first_gets_the_next_run() -> None:
    cores = Virtual(programs(LYING), cores=2, limits=TWO)
    early, late = sorted(warm(cores), key=lambda core: core.last_used_s)
    arrive(cores, 2.0)
    arrive(cores, 2.005)
    arrive(cores, 2.006)
    assert (len(early.runs), len(late.runs)) == (2, 1)


def test_only_a_full_batch_follows() -> None:
    cores = Virtual(programs(LYING, batches=(1, 4)), cores=1, limits=TWO)
    (core,) = warm(cores)
    arrive(cores, 2.0)
    arrive(cores, 2.001, count=3)
    assert len(core.runs) == 1
    arrive(cores, 2.002)
    assert [len(run.requests) for run in core.runs] == [1, 4]


@pytest.mark.parametrize(("within_s", "handed"), [(0.009, 1), (0.011, 2)])
def test_a_request_that_would_expire_in_line_stays_queued(within_s: float, handed: int) -> None:
    cores = Virtual(programs(LYING), cores=1, run_s=0.01, limits=TWO)
    (core,) = warm(cores)
    arrive(cores, 2.0)
    arrive(cores, 2.0, within_s=within_s)
    assert len(core.runs) == handed


@pytest.mark.parametrize(("after_s", "handed"), [(0.019, 2), (0.021, 1)])
def test_a_core_that_may_hang_gets_no_second_run(after_s: float, handed: int) -> None:
    cores = Virtual(programs(LYING), cores=1, run_s=0.01, limits=TWO)
    (core,) = warm(cores)
    arrive(cores, 2.0)
    arrive(cores, 2.0 + after_s)
    assert len(core.runs) == handed


def test_a_core_without_free_memory_gets_no_second_run() -> None:
    cores = Virtual(programs(LYING), cores=1, limits=TWO)
    (core,) = warm(cores)
    core.full = True
    arrive(cores, 2.0, count=2)
    assert len(core.runs) == 1


def test_a_program_that_must_be_loaded_does_not_starve() -> None:
    cores = Virtual(programs(LYING, STANDING), cores=1, limits=TWO)
    cores.play([*((0.005 * n, LYING) for n in range(3000)), (5.0, STANDING)])
    assert cores.latencies_s(STANDING)[0] < 10.0
    assert len(cores.answered) == 3001


def test_the_time_out_of_a_run_begins_with_its_turn() -> None:
    cores = Virtual(programs(LYING), cores=1, limits=TWO)
    (core,) = warm(cores)
    arrive(cores, 2.0, count=2)
    first, second = core.runs
    assert first.until_s == 2.0 + TWO.run_timeout_s
    assert second.until_s == float("inf")
    cores.state.finish(first, RunResult(error=RuntimeError("it failed")), 2.5)
    assert core.runs[0] is second
    assert second.until_s == 2.5 + TWO.run_timeout_s


def two_under_way(served: Served) -> list[Future[Arrays]]:
    """The second and the third run of a core, the latter handed over while the former runs."""
    assert is_depth_of(served.submit(images(1)[0]), images(1)[0])
    return served.submit_all(images(2))


def test_a_core_is_opened_again_once_its_other_run_has_ended() -> None:
    fault = Fault(3, Action.RECYCLE)
    with serving(programs(LYING), fault, latency_ms=200.0, runs_per_core=2) as served:
        worker = served.scheduler._core_threads[0].worker
        first, second = two_under_way(served)
        assert is_depth_of(first, images(2)[0])
        assert is_depth_of(second, images(2)[1])
        assert worker.closed
        assert served.device.calls[LOAD, 0] == 2
        assert served.scheduler.snapshot().retries == 1  # only what failed


def test_a_failure_that_breaks_a_core_counts_once() -> None:
    """Its other run fails too, but is not at fault, and its request loses no try."""
    cores = Virtual(programs(LYING), cores=1, limits=TWO, reopens=True)
    (core,) = warm(cores)
    arrive(cores, 2.0, count=2)
    first, second = core.start_next(), core.start_next()
    broken = RunResult(error=ProgramError("it is broken", Action.RECYCLE))
    cores.state.finish(first, broken, 2.5)
    cores.state.finish(second, broken, 2.6)
    assert (first.requests[0].failures, second.requests[0].failures) == (1, 0)
    assert core.failures == 1
    assert [run.program for run in core.runs] == [None]  # to be opened again, once
    assert cores.state.snapshot().waiting == 2


def test_a_core_that_is_lost_finishes_what_it_can() -> None:
    fault = Fault(3, Action.REPLACE)
    with serving(programs(LYING), fault, latency_ms=200.0, runs_per_core=2) as served:
        first, second = two_under_way(served)
        worker = served.scheduler._core_threads[0].worker
        with pytest.raises(OutOfServiceError, match="every core is out of service"):
            second.result(WAIT_S)
        early = worker.closed
        assert first.done() or not early
        assert is_depth_of(first, images(2)[0])


def test_a_broken_core_does_not_start_its_second_run() -> None:
    cores = Virtual(programs(LYING), cores=1, limits=TWO, reopens=True)
    (core,) = warm(cores)
    arrive(cores, 2.0, count=2)
    first = core.start_next()
    broken = RunResult(error=ProgramError("it is broken", Action.RECYCLE))
    cores.state.finish(first, broken, 2.5)
    assert [run.program for run in core.runs] == [None]
    assert cores.state.snapshot().waiting == 2


def test_the_alarm_counts_the_deadline_of_a_requeued_request() -> None:
    cores = Virtual(programs(LYING), cores=1, limits=TWO, reopens=True)
    (core,) = warm(cores)
    arrive(cores, 2.0, within_s=1.0)
    cores.state.expire(2.1)  # while the core has it
    broken = RunResult(error=ProgramError("it is broken", Action.RECYCLE))
    cores.state.finish(core.start_next(), broken, 2.5)
    cores.state.dispatch(2.5)
    assert (cores.state.snapshot().waiting, cores.state.alarm_s) == (1, 3.0)


def replaced(cores: Virtual, second_begun: bool) -> tuple[Request, Request]:
    """Requests of a first core's two runs, of which the first has told that the core is lost."""
    core = warm(cores)[0]
    arrive(cores, 2.0, count=2 * len(cores.state.cores))
    first, second = core.runs
    assert core.start_next() is first
    if second_begun:
        assert core.start_next() is second
    lost = RunResult(error=ProgramError("it is lost", Action.REPLACE))
    cores.state.finish(first, lost, 2.5)
    if second_begun:
        cores.state.finish(second, lost, 2.6)
    assert core.runs == []
    return first.requests[0], second.requests[0]


@pytest.mark.parametrize("second_begun", [False, True])
def test_runs_of_a_lost_core_are_requeued(second_begun: bool) -> None:
    cores = Virtual(programs(LYING), cores=2, limits=TWO)
    first, second = replaced(cores, second_begun)
    assert (first.failures, second.failures) == (1, 0)
    assert cores.state.snapshot().waiting == 2
    assert cores.state.answered == []


@pytest.mark.parametrize("second_begun", [False, True])
def test_runs_of_the_last_core_fail_when_it_is_lost(second_begun: bool) -> None:
    cores = Virtual(programs(LYING), cores=1, limits=TWO)
    requests = replaced(cores, second_begun)
    told = {request: request.error for request in cores.state.answered}
    assert set(told) == set(requests)
    assert all(isinstance(error, OutOfServiceError) for error in told.values())
    assert cores.state.drained


def test_a_program_in_use_is_not_evicted_for_the_run_behind_it() -> None:
    keys = programs(LYING, STANDING)
    faults = Fault(3, hang=True), Fault(4, Action.UNLOAD)
    with serving(keys, *faults, runs_per_core=2) as served:
        served.scheduler.warm_up()
        lying, standing = images(1)[0], images(1, STANDING)[0]
        for one in (lying, standing):
            assert is_depth_of(served.submit(one), one)
        # So that what is held is not taken for late, and the next one follows it.
        served.scheduler._dispatcher.placement.measured.run_s.update(dict.fromkeys(keys, 1e6))
        first = served.submit(lying)
        until(lambda: served.runs == 3)
        second = served.submit(standing)
        until(lambda: served.scheduler.snapshot().retries == 1)
        served.device.release()
        assert is_depth_of(first, lying)
        assert is_depth_of(second, standing)  # again, when nothing else runs
        (core,) = served.scheduler._cores
        assert core.full
        assert set(core.loaded) == set(keys)
        assert served.device.calls[LOAD, 0] == len(keys)  # nothing was loaded again
        assert served.scheduler.snapshot().retries == 1


@pytest.mark.parametrize("close_early", [False, True])
def test_the_run_behind_one_that_hangs_moves_to_another_core(close_early: bool) -> None:
    fault = Fault(3, hang=True)
    with serving(
        programs(LYING), fault, cores=2, latency_ms=50.0, runs_per_core=2, run_timeout_s=1.0
    ) as served:
        served.scheduler.warm_up()
        many = images(12)
        for image in many[:2]:
            assert is_depth_of(served.submit(image), image)
        futures = served.submit_all(many[2:])
        if close_early:
            served.scheduler.close()
        assert all(is_depth_of(future, image) for future, image in zip(futures, many[2:]))
        assert served.scheduler.snapshot().cores_in_service == 1


def test_every_thread_of_a_lost_core_ends_and_the_last_closes_its_worker() -> None:
    fault = Fault(1, Action.REPLACE, core=0)
    with serving(programs(LYING), fault, cores=2, runs_per_core=3) as served:
        worker = served.scheduler._core_threads[0].worker
        assert is_depth_of(served.submit(images(1)[0]), images(1)[0])
        for core, thread in served.scheduler._threads:
            if core.index == 0:
                thread.join(WAIT_S)
                assert not thread.is_alive()
        assert worker.closed
        assert served.device.calls[RUN, 1] == 1


def test_an_answer_counts_the_run_before_it_as_waiting() -> None:
    cores = Virtual(programs(LYING), cores=1, limits=TWO)
    (core,) = warm(cores)
    arrive(cores, 2.0, count=2)
    first, second = core.runs
    for run, started_s, ended_s in ((first, 2.0, 2.5), (second, 2.75, 3.25)):
        result = RunResult(answers(LYING), None, started_s, ended_s)
        cores.state.finish(run, result, ended_s)
    (waited,) = second.requests
    assert (waited.future.waited_s, waited.future.ran_s) == (0.75, 0.5)  # for the first one to end
