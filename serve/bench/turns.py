"""Measurements that take turns, so that a machine whose speed drifts is fair to all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Callable, TypeVar

T = TypeVar("T")
Step = Callable[[str], None]  # called with what begins now, in words


def take_turns(
    measures: Sequence[Callable[[], T]], rounds: int, warm_up: int, on_round: Step
) -> list[list[T]]:
    """Every measure's results, round by round; those of the first `warm_up` rounds are dropped.

    The order turns round from one round to the next: none always goes first.
    """
    results: list[list[T]] = [[] for _ in measures]
    for number in range(warm_up + rounds):
        counted = number - warm_up
        on_round(f"round {counted + 1} of {rounds}" if counted >= 0 else "warm-up")
        order = range(len(measures))
        for index in order if number % 2 == 0 else reversed(order):
            result = measures[index]()
            if counted >= 0:
                results[index].append(result)
    return results
