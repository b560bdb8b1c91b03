"""Latency, throughput, bound and cost of one way to use an instance, each with its range."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log, sqrt
from typing import Callable, Optional

from compile.plan.calibration import calibration_of, factors
from compile.plan.roofline import (
    BEST,
    CALL,
    INPUT,
    MIDDLE,
    WORST,
    Case,
    Load,
    Time,
    calls_per_s,
    time_of,
)
from compile.plan.work import Work
from depth.chips import Instance

DECODING = "host CPU (decoding)"

# CPU time of decoding a photograph of 2048x1362 px, resizing it, resizing its depth back and
# writing a 16-bit PNG: 60 and 83 ms on one core of two other processors, not on these instances.
DECODE_MS = 70.0

# Per core; what AWS recommends: one call runs while the next one's input is handed over.
_IN_FLIGHT = 2
# A vCPU is half of a core with two threads. How much of a core it is worth: middle, worst, best.
_VCPU_CORES = (0.7, 0.5, 1.0)


@dataclass(frozen=True)
class Layout:
    """One way to use an instance."""

    batch: int = 1
    split: bool = False  # encoder and decoder as two programs, with the host in between
    cores_per_program: int = 1  # more than one: NeuronCore Pipeline
    attention_blocks: int = 1

    def __str__(self) -> str:
        parts = ["split" if self.split else "fused", f"batch {self.batch}"]
        if self.attention_blocks > 1:
            parts.append(f"attention in {self.attention_blocks} blocks")
        if self.cores_per_program > 1:
            parts.append(f"pipeline of {self.cores_per_program} cores")
        return ", ".join(parts)


@dataclass(frozen=True)
class Range:
    """An estimate and how far it may be off."""

    low: float
    middle: float
    high: float

    def map(self, function: Callable[[float], float]) -> Range:
        """The same of a quantity that follows from this one; a falling one swaps the ends."""
        ends = sorted((function(self.low), function(self.high)))
        return Range(ends[0], function(self.middle), ends[1])

    def limited(self, other: Range) -> Range:
        return Range(
            min(self.low, other.low), min(self.middle, other.middle), min(self.high, other.high)
        )


@dataclass(frozen=True)
class Host:
    """What the instance's own processors do for each image."""

    decode_ms: float  # CPU time of one core; 0 if images come decoded and depth stays as it is

    def images_per_s(self, instance: Instance) -> Optional[Range]:
        """None if there is nothing to do."""
        if not self.decode_ms:
            return None
        middle, low, high = (1e3 * c * instance.vcpus / self.decode_ms for c in _VCPU_CORES)
        return Range(low, middle, high)


@dataclass(frozen=True)
class Estimate:
    layout: Layout
    latency_ms: Range  # of one call, host to host, while the other cores work; nothing queued
    images_per_s_per_core: Range  # of the device
    images_per_s: Range  # of the instance, host included
    bound: str
    dollars_per_million: Range  # images


def estimate(
    stages: Sequence[Work], instance: Instance, layout: Layout, host: Host, dollars_per_hour: float
) -> Estimate:
    """All cores of the instance at work on the same kind of image."""
    cores = layout.cores_per_program
    times = [_times(stages, instance, layout, case) for case in (MIDDLE, BEST, WORST)]
    doubt = factors(instance.chip)
    latency_ms = _range([_total_ms(found) for found in times], doubt)
    call_s = _range([1 / calls_per_s(found, cores, _IN_FLIGHT * cores) for found in times], doubt)
    per_core = call_s.map(lambda value: layout.batch / cores / value)
    images_per_s = device = per_core.map(lambda value: value * instance.cores)
    decoding = host.images_per_s(instance)
    bound = _bound(times[0], cores)
    if decoding is not None:
        images_per_s = device.limited(decoding)
        bound = DECODING if decoding.middle < device.middle else bound
    cost = images_per_s.map(lambda value: dollars_per_hour / value / 3600 * 1e6)
    return Estimate(layout, latency_ms, per_core, images_per_s, bound, cost)


def two_digits(value: float) -> float:
    """As the tables show an estimate: more would promise too much."""
    return float(f"{value:.2g}")


def _times(stages: Sequence[Work], instance: Instance, layout: Layout, case: Case) -> list[Time]:
    chip = instance.chip
    load = Load(layout.batch, chip.cores, layout.cores_per_program, layout.attention_blocks)
    return [time_of(work, chip, calibration_of(chip, case), load, case) for work in stages]


def _total_ms(times: Sequence[Time]) -> float:
    return sum(time.total_ms for time in times)


def _range(times: Sequence[float], doubt: tuple[float, float]) -> Range:
    """Two independent doubts, of the fit and of what it cannot tell: added as squares of logs.

    times: in the middle case, then in the others
    doubt: how far a time may be off by published rows, lowest and highest factor
    """
    middle, ends = times[0], (min(times), max(times))
    low, high = (
        exp(sqrt(log(factor) ** 2 + log(end / middle) ** 2)) for factor, end in zip(doubt, ends)
    )
    return Range(middle / low, middle, middle * high)


def _bound(times: Sequence[Time], cores: int) -> str:
    """What would have to become faster for more images per second."""
    device_ms = sum(time.device_ms for time in times)
    if _total_ms(times) / (_IN_FLIGHT * cores) > device_ms / cores:
        input_ms, call_ms = sum(t.input_ms for t in times), sum(t.call_ms for t in times)
        return INPUT if input_ms > call_ms else CALL
    engines: defaultdict[str, float] = defaultdict(float)
    for time in times:
        for name, engine_ms in time.engines_ms.items():
            engines[name] += engine_ms
    return max(engines, key=lambda name: engines[name])
