"""Schedulers over simulated devices, and a dispatcher in virtual time."""

from __future__ import annotations

import heapq
import math
import threading
import time
from bisect import insort
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Optional

import numpy as np

from depth.artifact.program import ProgramKey, Shape
from depth.maps.result import FloatArray
from depth.sizes import Size
from serve.arrays import Arrays
from serve.scheduling.core import CoreState, Run, RunResult
from serve.scheduling.dispatcher import Dispatcher
from serve.scheduling.queues import Pending, Request
from serve.scheduling.scheduler import Scheduler
from serve.scheduling.worker import Limits
from tests.support.simulated import RUN, Device, Fault, Model, simulated_depth

LYING, STANDING, SQUARE = (28, 42), (42, 28), (28, 28)
WAIT_S = 20.0  # for what should take milliseconds
runs_per_core = 1  # what the fixture of this name changes
HELD = Fault(1, hang=True)  # the first run does not end before the device is released


def programs(*sizes: Size, batches: Sequence[int] = (1,)) -> list[ProgramKey]:
    return [ProgramKey(*size, batch) for size in sizes for batch in batches]


def images(count: int, size: Size = LYING, seed: int = 0) -> list[FloatArray]:
    """Network inputs of which no two are alike."""
    rng = np.random.default_rng(seed)
    return list(rng.normal(size=(count, 3, *size)).astype(np.float32))


def shapes(*sizes: Size) -> list[Shape]:
    return [Shape(*size) for size in sizes]


def asked(image: FloatArray) -> tuple[Arrays, Shape]:
    """What `Scheduler.submit` takes for a network input [3,H,W]."""
    return {"images": image}, Shape(*image.shape[1:])


def answers(size: Size, count: int = 1) -> list[Arrays]:
    """What a run gave, as far as its numbers do not matter."""
    return [{"depth": np.zeros(size, np.float32)} for _ in range(count)]


def until(condition: Callable[[], bool]) -> None:
    ends_s = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < ends_s
        time.sleep(0.001)


def is_depth_of(future: Future[Arrays], image: FloatArray) -> bool:
    return np.array_equal(future.result(WAIT_S)["depth"], simulated_depth(image[None])[0])


@dataclass
class Served:
    """A scheduler together with the device that it runs on."""

    scheduler: Scheduler
    device: Device

    @property
    def runs(self) -> int:
        return self.device.calls[RUN, None]

    def submit(self, image: FloatArray, **options: object) -> Future[Arrays]:
        return self.scheduler.submit(*asked(image), **options)

    def submit_all(self, many: Sequence[FloatArray]) -> list[Future[Arrays]]:
        return [self.submit(image) for image in many]

    def hold(self) -> Future[Arrays]:
        """Begin the run that hangs, and wait until it has begun."""
        future = self.submit(images(1, seed=99)[0])
        begun = threading.Event()
        while not future.done() and not (future.running() and self.runs):
            begun.wait(0.001)
        return future


def assigned(core: CoreState, program: ProgramKey, requests: list[Request]) -> Run:
    """A run that the core has been given."""
    run = Run(core, program, requests, loads=program not in core.loaded)
    core.runs.append(run)
    return run


def made_limits(**limits: float) -> Limits:
    return Limits(**{"runs_per_core": runs_per_core, **limits})


@contextmanager
def serving(
    keys: Sequence[ProgramKey],
    *faults: Fault,
    cores: int = 1,
    reopens: bool = True,
    programs_per_core: int | None = None,
    latency_ms: float = 0.0,
    **limits: float,
) -> Iterator[Served]:
    def latency(_program: ProgramKey, _core: int) -> float:
        return latency_ms

    device = Device(Model(latency, programs_per_core=programs_per_core, faults=faults))
    workers = [device.worker(core) for core in range(cores)]
    reopen = device.worker if reopens else None
    scheduler = Scheduler(workers, keys, reopen, made_limits(**limits))
    try:
        yield Served(scheduler, device)
    finally:
        device.release()
        scheduler.close(cancel=True)


@dataclass
class Virtual:
    """Cores in virtual time: every load takes `load_s` and every run takes `run_s`."""

    keys: Sequence[ProgramKey]
    cores: int
    run_s: float = 0.01
    load_s: float = 1.0
    programs_per_core: float = math.inf
    limits: Limits = field(default_factory=made_limits)
    rest_s: dict[Size, float] = field(default_factory=dict)  # of callers before they send again
    reopens: bool = False

    def __post_init__(self) -> None:
        roomy = replace(self.limits, queue_size=1_000_000)  # no caller waits for room
        self.state = Dispatcher(self.cores, self.keys, roomy, self.reopens)
        self.loads: list[tuple[int, ProgramKey]] = []  # core, program
        self.loaded_at_s: list[float] = []  # when they began
        self.answered: list[tuple[Size, float]] = []  # size, latency in s
        self.batches: list[int] = []  # live requests in each run
        self.handed_at_s: list[float] = []  # runs, to a core
        self._free_s = [0.0] * self.cores  # when each is done with what it has been handed
        self._ends: list[tuple[float, int, Run, Optional[float]]] = []  # the last: load_s

    def latencies_s(self, *sizes: Size) -> list[float]:
        """Of the answers in their order, of these sizes or of all."""
        return [latency_s for size, latency_s in self.answered if not sizes or size in sizes]

    def play(self, arrivals: Sequence[tuple[float, Size]], again: int = 0) -> None:
        """Requests at (moment in s, size), until all are answered.

        An answer makes its caller send one more of the same size, `again` times altogether.
        """
        todo = sorted(arrivals)
        while todo or self._ends or self.state.snapshot().waiting:
            next_end_s = self._ends[0][0] if self._ends else math.inf
            next_arrival_s = todo[0][0] if todo else math.inf
            now_s = min(next_end_s, next_arrival_s, self.state.alarm_s)
            if now_s == next_arrival_s:
                self.state.schedule(self.request(*todo.pop(0)), now_s)
            elif now_s == next_end_s:
                _, _, run, load_s = heapq.heappop(self._ends)
                if load_s is not None:
                    self.state.loaded(run, load_s, now_s)
                found = answers(run.program.size, len(run.requests))
                self.state.finish(run, RunResult(found, None, now_s - self.run_s, now_s), now_s)
                for request in run.requests:
                    size = request.shape[:2]
                    self.answered.append((size, now_s - request.arrived_s))
                    if again > 0:
                        again -= 1
                        insort(todo, (now_s + self.rest_s.get(size, 0.0), size))
            else:
                self.state.expire(now_s)
            for core in self.state.dispatch(now_s):
                run = core.start_next()
                if run is not None:
                    self._begin(core, run, now_s)

    def request(self, now_s: float, size: Size) -> Request:
        image = np.zeros((3, *size), np.float32)
        due_s = now_s + self.limits.batch_wait_s
        return Request(*asked(image), Pending(), now_s, due_s, math.inf)

    def _begin(self, core: CoreState, run: Run, now_s: float) -> None:
        load_s = self.load_s if run.loads else None
        if load_s is not None:
            if len(core.loaded) >= self.programs_per_core:
                core.evict(run.program)
            self.loads.append((core.index, run.program))
            self.loaded_at_s.append(now_s)
        self.batches.append(len(run.requests))
        self.handed_at_s.append(now_s)
        end_s = max(now_s, self._free_s[core.index]) + (load_s or 0.0) + self.run_s
        self._free_s[core.index] = end_s
        heapq.heappush(self._ends, (end_s, len(self.batches), run, load_s))
