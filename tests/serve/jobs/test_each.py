from __future__ import annotations

import threading
import time

import pytest

from serve.jobs.threads import each


def test_results_come_but_no_none() -> None:
    def work(key: int) -> int | None:
        time.sleep(0.002 * (key % 3))
        return None if key == 3 else key * key

    assert sorted(each(range(7), work, workers=3)) == [0, 1, 4, 16, 25, 36]


def test_an_error_of_the_work_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        list(each([0], lambda key: 1 / key, workers=2))


def test_a_slow_one_holds_up_no_other() -> None:
    slow = threading.Event()

    def work(key: int) -> int:
        assert key or slow.wait(timeout=10)
        return key

    results = each(range(9), work, workers=2)
    assert sorted(next(results) for _ in range(8)) == list(range(1, 9))
    slow.set()
    assert list(results) == [0]


@pytest.mark.parametrize("stop_at", [0, 1, 30])
def test_after_a_stop_what_runs_is_finished_and_nothing_begins(stop_at: int) -> None:
    """`begun` is what `work` was called with when the stop came; both workers may have one."""
    begun: list[int] = []
    stop = threading.Event()

    def work(key: int) -> int:
        begun.append(key)
        if key == stop_at:
            stop.set()
        return key

    assert sorted(each(range(1000), work, workers=2, stopped=stop.is_set)) == sorted(begun)
    assert stop_at in begun
    assert len(begun) <= stop_at + 2


def test_a_stop_that_was_there_before_begins_nothing() -> None:
    assert list(each(range(9), lambda key: 1 / key, workers=2, stopped=lambda: True)) == []


def test_only_a_few_are_taken_before_the_first_is_given() -> None:
    taken = []

    def keys():
        for key in range(1000):
            taken.append(key)
            yield key

    results = each(keys(), lambda key: key, workers=2)
    next(results)
    assert len(taken) <= 4
    results.close()


def test_work_goes_on_side_by_side() -> None:
    both = threading.Barrier(2, timeout=10)
    assert sorted(each("ab", lambda _: both.wait(), 2)) == [0, 1]


def test_closing_early_drops_what_has_not_begun() -> None:
    done: list[int] = []
    results = each(range(100), lambda key: [done.append(key)], workers=1)
    next(results)
    results.close()
    assert len(done) <= 3


@pytest.mark.parametrize("workers", [1, 2])
def test_nothing_to_do(workers: int) -> None:
    assert list(each([], lambda key: key, workers)) == []
