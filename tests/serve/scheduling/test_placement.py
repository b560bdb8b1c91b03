"""Which core runs what, in virtual time: exact, and free of the machine's own speed."""

from __future__ import annotations

import heapq
import random

import pytest

from serve.errors import Action, ExpiredError, ProgramError
from serve.scheduling.core import CoreState, RunResult
from serve.scheduling.queues import Request, batch_size
from tests.support.schedules import (
    LYING,
    SQUARE,
    STANDING,
    Virtual,
    answers,
    assigned,
    made_limits,
    programs,
)

pytestmark = pytest.mark.usefixtures("runs_per_core")


def every(gap_s: float, count: int, *sizes: tuple[int, int]) -> list[tuple[float, tuple[int, int]]]:
    """Arrivals at a steady rate, the sizes taking turns."""
    return [(index * gap_s, sizes[index % len(sizes)]) for index in range(count)]


def test_two_sizes_on_two_cores_are_loaded_once_each() -> None:
    cores = Virtual(programs(LYING, STANDING), cores=2)
    cores.play(every(0.01, 400, LYING, STANDING))
    assert len(cores.loads) == 2
    assert {core for core, _ in cores.loads} == {0, 1}


def test_a_size_that_no_core_holds_goes_to_the_least_recently_used() -> None:
    cores = Virtual(programs(LYING, STANDING, SQUARE), cores=2)
    cores.play([(0.0, LYING), (5.0, STANDING), (10.0, LYING), (20.0, SQUARE)])
    assert cores.loads == [
        (0, programs(LYING)[0]),
        (1, programs(STANDING)[0]),
        (1, programs(SQUARE)[0]),
    ]


def test_a_core_that_holds_only_this_program_goes_first() -> None:
    cores = Virtual(programs(LYING, STANDING), cores=2)
    lying, standing = programs(LYING, STANDING)
    first, second = cores.state.cores
    first.loaded[lying] = first.loaded[standing] = second.loaded[lying] = None
    cores.play([(1.0, LYING), (1.0, STANDING)])
    assert cores.loads == []
    assert max(cores.latencies_s()) == pytest.approx(cores.run_s)


def test_a_copy_is_loaded_only_if_the_backlog_is_worth_it() -> None:
    few, many = Virtual(programs(LYING), cores=4), Virtual(programs(LYING), cores=4)
    few.play([(0.0, LYING)] * 50)  # half a second of work, one to load
    assert len(few.loads) == 1
    many.play([(0.0, LYING)] * 1000)  # ten seconds of work
    assert {core for core, _ in many.loads} == {0, 1, 2, 3}
    assert len(many.loads) == 4


@pytest.mark.parametrize(
    ("holders", "waiting", "starved_s", "copies"),
    [
        (1, 99, 0.0, 0),
        (1, 100, 0.0, 1),
        (2, 199, 0.0, 0),  # two holders do as much while a copy is loaded as one in twice the time
        (2, 200, 0.0, 1),
        (3, 299, 0.0, 0),
        (3, 300, 0.0, 1),
        (2, 50, 1.49, 0),
        (2, 50, 1.5, 1),
    ],
)
def test_a_copy_has_to_save_one_loading_time_of_every_holder(
    holders: int, waiting: int, starved_s: float, copies: int
) -> None:
    """Loading takes 1 s and a run 0.01 s. All holders are busy, and one core is idle."""
    cores = Virtual(programs(LYING), cores=holders + 1, limits=made_limits(runs_per_core=1))
    (program,) = cores.keys
    cores.state.placement.measured.add_load(program, 1.0)
    cores.state.placement.measured.run_s[program] = 0.01
    cores.state.placement.measured.starved_s[program] = starved_s
    *busy, idle = cores.state.cores
    for core in busy:
        core.loaded[program] = None
        assigned(core, program, [cores.request(0.0, LYING)])
    for _ in range(waiting):
        cores.state.schedule(cores.request(1.0, LYING), 1.0)
    cores.state.dispatch(1.0)
    assert len(idle.runs) == copies


def test_a_rare_size_is_not_starved_by_a_busy_one() -> None:
    cores = Virtual(programs(LYING, STANDING), cores=1)
    cores.play([*every(0.01, 3000, LYING), (5.0, STANDING)])
    assert len(cores.loads) == 2
    # For what came before it, for one loading time of others, and for its own load.
    assert cores.latencies_s(STANDING)[0] < 4.0
    assert len(cores.answered) == 3001


def test_a_core_does_not_swap_programs_at_every_request() -> None:
    cores = Virtual(programs(LYING, STANDING), cores=1, programs_per_core=1)
    cores.play(every(0.005, 1000, LYING, STANDING))
    assert 2 <= len(cores.loads) <= 20
    assert len(cores.answered) == 1000


@pytest.mark.parametrize(("callers", "copies"), [(1, 1), (2, 2), (3, 3), (4, 4), (12, 4)])
def test_callers_that_wait_for_their_answers_get_the_idle_cores_too(
    callers: int, copies: int
) -> None:
    """So few that there is never a backlog worth a load: what was lost so far counts."""
    cores = Virtual(programs(LYING), cores=4)
    cores.play([(0.0, LYING)] * callers, again=3000)
    assert len(cores.loads) == copies
    assert len(set(cores.loads)) == copies  # on as many cores
    if copies > 1:  # after about the time that the load takes, after the first
        assert 1.5 < cores.loaded_at_s[1] < 2.5
    late = cores.latencies_s()[-500:]
    assert sum(late) / len(late) == pytest.approx(cores.run_s * max(1, callers / 4))


@pytest.mark.parametrize("rest_s", [0.0, 0.02, 0.1, 1.0])
def test_a_copy_that_is_worth_it_later_evicts_no_program_in_use(rest_s: float) -> None:
    """Two callers of one program, one of another, and cores with memory for one."""
    cores = Virtual(programs(LYING, STANDING), 2, programs_per_core=1, rest_s={STANDING: rest_s})
    cores.play([(0.0, LYING), (0.0, LYING), (0.0, STANDING)], again=2000)
    assert len(cores.loads) <= 4  # one in vain: it shows that memory is full
    found = cores.latencies_s(STANDING)
    assert max(found[len(found) // 2 :]) <= 2 * cores.run_s


def test_a_copy_that_is_worth_it_later_evicts_an_unused_program() -> None:
    cores = Virtual(programs(LYING, STANDING), 2, programs_per_core=1, rest_s={STANDING: 1e6})
    both = [(0.0, LYING), (0.0, LYING), (0.0, STANDING), (3.0, STANDING)]
    cores.play(both, again=5000)
    sizes = [program.size for _, program in cores.loads]
    assert sizes == [LYING, STANDING, LYING, STANDING, LYING, STANDING]
    assert 13.0 < cores.loaded_at_s[4] < 15.0  # ten loading times after the other ran last
    late = cores.latencies_s(LYING)[-1000:]
    assert sum(late) / len(late) == pytest.approx(cores.run_s)


def test_later_requests_overtake_one_that_waits_for_another_core() -> None:
    cores = Virtual(programs(LYING), cores=2, limits=made_limits(runs_per_core=1))
    first, second = cores.state.cores
    for core in (first, second):
        core.loaded[cores.keys[0]] = None
    sent = [cores.request(moment_s, LYING) for moment_s in (1.0, 1.1, 1.2, 1.3)]
    for request in sent:
        cores.state.schedule(request, 0.0)
        cores.state.dispatch(request.arrived_s)

    def next_after(core: CoreState, result: RunResult, now_s: float) -> list[Request]:
        cores.state.finish(core.start_next(), result, now_s)
        cores.state.dispatch(now_s)
        return [request for run in core.runs for request in run.requests]

    well = RunResult(answers(LYING))
    assert next_after(first, RunResult(error=ProgramError("again")), 2.0) == [sent[2]]
    assert next_after(first, well, 2.1) == [sent[3]]
    assert next_after(second, well, 2.2) == [sent[0]]


def test_a_failed_request_is_not_retried_after_its_deadline() -> None:
    cores = Virtual(programs(LYING), cores=1)
    (core,) = cores.state.cores
    request = cores.request(0.0, LYING)
    request.expires_s = 1.0
    cores.state.schedule(request, 0.0)
    cores.state.dispatch(0.0)
    failed = RunResult(error=ProgramError("again", Action.RETRY))
    cores.state.finish(core.start_next(), failed, 2.0)
    cores.state.dispatch(2.0)
    (answer,) = cores.state.answered
    says = "waited 2.000 s, its deadline was 1.000 s: core 0 failed it, and it is not tried again"
    assert says in str(answer.error)
    assert isinstance(answer.error, ExpiredError)
    assert core.runs == []


def test_programs_are_loaded_in_the_order_of_their_requests() -> None:
    cores = Virtual(programs(LYING, STANDING, SQUARE), cores=1)
    cores.play([(0.0, SQUARE), (0.1, STANDING), (0.2, LYING)])
    assert [program.size for _, program in cores.loads] == [SQUARE, STANDING, LYING]


def test_loads_come_one_by_one_where_a_device_wants_that() -> None:
    cores = Virtual(programs(LYING, STANDING, SQUARE), 3, limits=made_limits(loads_at_once=1))
    cores.play([(0.0, LYING), (0.1, STANDING), (0.2, SQUARE), (1.5, LYING)])
    assert cores.loaded_at_s == pytest.approx([0.0, 1.01, 2.02])
    assert {core for core, _ in cores.loads} == {0, 1, 2}
    assert min(cores.latencies_s(LYING)) == pytest.approx(cores.run_s)  # while others load


@pytest.mark.parametrize(
    ("waiting", "batches", "due", "chosen"),
    [
        (1, (1,), False, 1),
        (5, (1, 4), False, 4),
        (3, (1, 4), False, None),
        (3, (1, 4), True, 4),
        (2, (1, 4), True, 4),
        (1, (1, 4), True, 1),
        (1, (4,), True, 4),
        (1, (4,), False, None),
        (3, (1, 8), True, 1),
        (5, (1, 2, 16), True, 2),
        (9, (1, 2, 16), True, 16),
    ],
)
def test_the_batch_is_full_or_at_least_half_used(
    waiting: int, batches: tuple[int, ...], due: bool, chosen: int | None
) -> None:
    assert batch_size(waiting, batches, due) == chosen


def test_a_request_waits_for_company_but_not_for_ever() -> None:
    limits = made_limits(batch_wait_s=0.1)
    cores = Virtual(programs(LYING, batches=(1, 4)), cores=1, load_s=0.0, limits=limits)
    cores.play([(0.0, LYING), (0.01, LYING), (0.02, LYING), (0.03, LYING), (1.0, LYING)])
    assert cores.batches == [4, 1]
    assert cores.latencies_s()[-1] == pytest.approx(0.1 + cores.run_s)
    assert max(cores.latencies_s()[:4]) == pytest.approx(0.03 + cores.run_s)


def test_requests_behind_a_small_batch_do_not_wait_again() -> None:
    limits = made_limits(batch_wait_s=0.05)
    cores = Virtual(programs(LYING, batches=(1, 8)), cores=1, load_s=0.0, limits=limits)
    cores.play([(0.0, LYING), (0.02, LYING), (0.04, LYING)])
    assert cores.batches == [1, 1, 1]
    assert cores.latencies_s() == pytest.approx([0.05 + cores.run_s] * 3)


def test_a_request_with_less_time_than_the_head_makes_both_run() -> None:
    limits = made_limits(batch_wait_s=0.5)
    cores = Virtual(programs(LYING, batches=(4,)), cores=1, limits=limits)
    hurried = cores.request(0.01, LYING)
    hurried.due_s, hurried.expires_s = 0.06, 0.11
    for request in (cores.request(0.0, LYING), hurried):
        cores.state.schedule(request, 0.0)
        cores.state.dispatch(request.arrived_s)
    (core,) = cores.state.cores
    assert (cores.state.alarm_s, core.runs) == (0.06, [])
    cores.state.expire(0.06)
    cores.state.dispatch(0.06)
    assert [len(run.requests) for run in core.runs] == [2]


def test_random_arrivals_wait_no_longer_than_in_an_ideal_queue() -> None:
    rng, moment_s, arrivals = random.Random(0), 0.0, []
    cores = Virtual(programs(LYING), cores=4)
    for core in cores.state.cores:
        core.loaded[cores.keys[0]] = None
    free_s, ideal_s = [0.0] * 4, []
    for _ in range(1000):
        moment_s += rng.expovariate(0.8 * 4 / cores.run_s)
        arrivals.append((moment_s, LYING))
        end_s = max(moment_s, heapq.heappop(free_s)) + cores.run_s
        heapq.heappush(free_s, end_s)
        ideal_s.append(end_s - moment_s)
    cores.play(arrivals)
    assert sorted(cores.latencies_s()) == pytest.approx(sorted(ideal_s))


def test_a_saturated_device_is_never_idle() -> None:
    cores = Virtual(programs(LYING), cores=4)
    for core in cores.state.cores:
        core.loaded[cores.keys[0]] = None
    cores.play([(0.0, LYING)] * 400)
    assert max(cores.latencies_s()) == pytest.approx(400 / 4 * cores.run_s)
