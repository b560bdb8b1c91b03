"""Latency of several programs on the same images, in turns."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Callable

Samples = Mapping[str, Sequence[float]]  # ms by name, one per round

ROUNDS = 9
GAIN = 1.03  # what is not faster by this factor is no gain: rounds of one program differ as much


@dataclass(frozen=True)
class Fastest:
    name: str
    latency_ms: Mapping[str, float]  # medians
    ratios: Mapping[str, float]  # to the first program: medians of the rounds' own ratios


def in_turns(runs: Mapping[str, Callable[[int], object]], rounds: int = ROUNDS) -> Samples:
    """Time each run once a round, in an order that changes; a first round does not count.

    A run takes the number of the round.
    """
    found: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(-1, rounds):
        names = list(runs) if number % 2 else list(runs)[::-1]
        for name in names:
            started = time.perf_counter()
            runs[name](max(number, 0))
            if number >= 0:
                found[name].append(1e3 * (time.perf_counter() - started))
    return found


def fastest(samples: Samples) -> Fastest:
    """The fastest of some programs, the first of them the simplest.

    A later program has to be faster than the choice before by the factor `GAIN`, in the median of
    the rounds: other work on the machine slows a whole round down.
    """
    first = next(iter(samples))
    chosen = first
    for name in samples:
        if _ratio(samples[chosen], samples[name]) > GAIN:
            chosen = name
    return Fastest(
        chosen,
        {name: median(times) for name, times in samples.items()},
        {name: _ratio(samples[first], times) for name, times in samples.items()},
    )


def _ratio(base: Sequence[float], times: Sequence[float]) -> float:
    """Times as fast as the base, the median of the rounds' own ratios."""
    return median(one / own for one, own in zip(base, times))
