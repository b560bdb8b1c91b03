from __future__ import annotations

import threading
import time

import pytest

from serve.workers import each


def test_outcomes_come_in_order_and_errors_do_not_stop_the_others() -> None:
    def work(key: int) -> int:
        time.sleep(0.002 * (key % 3))
        if key == 3:
            raise ValueError("three")
        return key * key

    outcomes = list(each(range(7), work, workers=3))
    assert [outcome.key for outcome in outcomes] == list(range(7))
    assert [outcome.result for outcome in outcomes] == [0, 1, 4, None, 16, 25, 36]
    assert str(outcomes[3].error) == "three"
    assert [outcome.error for outcome in outcomes if outcome.key != 3] == [None] * 6


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
