from __future__ import annotations

import threading
import time

import pytest

from serve.jobs.workers import each


def test_errors_do_not_stop_the_others() -> None:
    def work(key: int) -> int:
        time.sleep(0.002 * (key % 3))
        if key == 3:
            raise ValueError("three")
        return key * key

    outcomes = sorted(each(range(7), work, workers=3), key=lambda outcome: outcome.key)
    assert [outcome.key for outcome in outcomes] == list(range(7))
    assert [outcome.result for outcome in outcomes] == [0, 1, 4, None, 16, 25, 36]
    assert str(outcomes[3].error) == "three"
    assert [outcome.error for outcome in outcomes if outcome.key != 3] == [None] * 6


def test_a_slow_one_holds_up_no_other() -> None:
    slow = threading.Event()

    def work(key: int) -> None:
        assert key or slow.wait(timeout=10)

    outcomes = each(range(9), work, workers=2)
    assert [next(outcomes).key for _ in range(8)] == list(range(1, 9))
    slow.set()
    assert [(outcome.key, outcome.error) for outcome in outcomes] == [(0, None)]


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

    outcomes = list(each(range(1000), work, workers=2, stopped=stop.is_set))
    assert sorted(outcome.key for outcome in outcomes) == sorted(begun)
    assert all(outcome.result == outcome.key for outcome in outcomes)
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

    outcomes = each(keys(), lambda key: key, workers=2)
    next(outcomes)
    assert len(taken) <= 4
    outcomes.close()


def test_work_goes_on_side_by_side() -> None:
    both = threading.Barrier(2, timeout=10)
    assert [outcome.error for outcome in each("ab", lambda _: both.wait() and None, 2)] == [
        None
    ] * 2


def test_closing_early_drops_what_has_not_begun() -> None:
    done: list[int] = []
    outcomes = each(range(100), done.append, workers=1)
    next(outcomes)
    outcomes.close()
    assert len(done) <= 3


@pytest.mark.parametrize("workers", [1, 2])
def test_nothing_to_do(workers: int) -> None:
    assert list(each([], lambda key: key, workers)) == []
