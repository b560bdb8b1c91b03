"""What scheduling costs and what it survives, over a simulated device.

    python tests/benchmarks/scheduler.py

saturated  4 cores of 10 ms: images per second, as a share of the 400 that they could do at most
even       the same at 80 % of that, arrivals evenly spaced: latency, and that of a queue that costs
           nothing given the same arrivals
poisson    the same with arrivals at random
faults     10,000 requests of three sizes in batches of up to 4; a core fails at least every 500
           requests, one is lost and one hangs: what each request was answered

A simulated core sleeps, and a busy machine wakes it late, which no scheduler can help. So each
round first times four threads that do nothing but sleep 10 ms, and the saturated run records how
long each core stands idle between two runs: that is the scheduler's own cost. Raw samples go to
tests/benchmarks/results/scheduler.json. Nothing here is a measurement of a NeuronCore.
"""

from __future__ import annotations

import heapq
import json
import os
import platform
import random
import statistics
import sys
import threading
import time
from collections import Counter
from concurrent.futures import Future, wait
from dataclasses import replace
from pathlib import Path

import numpy as np
import typer

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from depth.artifact.program import ProgramKey
from serve.arrays import Arrays  # noqa: E402
from serve.backend import CHIP_LIMITS  # noqa: E402
from serve.errors import (
    Action,
    ServeError,  # noqa: E402
)
from serve.scheduling.scheduler import Scheduler  # noqa: E402
from serve.scheduling.worker import (
    Limits,  # noqa: E402
    Worker,
)
from tests.support.schedules import asked  # noqa: E402
from tests.support.simulated import RUN, Device, Fault, Model, simulated_depth  # noqa: E402

RESULTS = Path(__file__).parent / "results"
CORES, SERVICE_MS = 4, 10.0
MOST_PER_S = CORES * 1e3 / SERVICE_MS
LOADED_PER_S = 0.8 * MOST_PER_S
PROGRAM = ProgramKey(126, 168, 1)
MIXED = [ProgramKey(h, w, batch) for h, w in ((28, 42), (42, 28), (28, 28)) for batch in (1, 4)]
ACTIONS = (Action.RETRY, Action.RECYCLE, Action.BACK_PRESSURE, None)


def main(
    rounds: int = typer.Option(5, help="How often everything is measured."),
    images: int = typer.Option(2000, help="Requests of one saturated run."),
    arrivals: int = typer.Option(4000, help="Requests of one run at 80 % load."),
) -> None:
    """Measure, print a summary and write tests/benchmarks/results/scheduler.json."""
    report: dict[str, object] = {"machine": machine(), "cores": CORES, "service_ms": SERVICE_MS}
    measured: list[dict[str, object]] = []
    for seed in range(rounds):
        found = {
            "load_average": os.getloadavg()[0],
            "sleeping_share": sleeping(),
            **saturated(images),
            "even": arriving([1 / LOADED_PER_S] * arrivals),
            "poisson": arriving(poisson_gaps_s(arrivals, seed)),
        }
        measured.append(found)
        typer.echo(line(found), err=True)
    report["rounds"] = measured
    report["summary"] = summary(measured)
    report["faults"] = fault_run(10_000)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "scheduler.json").write_text(json.dumps(report) + "\n")
    typer.echo(json.dumps({"summary": report["summary"], "faults": report["faults"]}, indent=2))


def sleeping(times: int = 200) -> float:
    """Share of the possible that threads reach which only sleep for the service time."""

    def sleep() -> None:
        for _ in range(times):
            time.sleep(SERVICE_MS / 1e3)

    threads = [threading.Thread(target=sleep) for _ in range(CORES)]
    started_s = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return times * SERVICE_MS / 1e3 / (time.perf_counter() - started_s)


def simulated(*faults: Fault, latency_ms: float = SERVICE_MS) -> Device:
    return Device(Model(lambda program, _core: latency_ms * program.batch, faults=faults))


def started(device: Device, programs: list[ProgramKey], limits: Limits = CHIP_LIMITS) -> Scheduler:
    workers = [device.worker(core) for core in range(CORES)]
    scheduler = Scheduler(workers, programs, device.worker, limits)
    scheduler.warm_up()
    return scheduler


class Timed:
    """A worker that records how long its core stands idle between runs."""

    def __init__(self, worker: Worker) -> None:
        self.load, self.unload, self.close = worker.load, worker.unload, worker.close
        self._worker = worker
        self._began_s: list[float] = []

    def run(self, program: ProgramKey, arrays: Arrays) -> Arrays:
        self._began_s.append(time.perf_counter())
        return self._worker.run(program, arrays)

    @property
    def idle_ms(self) -> list[float]:
        """A run begins when it is handed over, or when the one before it ends, SERVICE_MS later."""
        rests, free_s = [], self._began_s[0]
        for began_s in sorted(self._began_s):
            rests.append(1e3 * max(0.0, began_s - free_s))
            free_s = max(began_s, free_s) + SERVICE_MS / 1e3
        return rests


def saturated(count: int) -> dict[str, object]:
    """With always some waiting: share of the possible images per second, and the cores' rests."""
    image = np.ones((3, *PROGRAM.size), np.float32)
    device = simulated()
    workers = [Timed(device.worker(core)) for core in range(CORES)]
    with Scheduler(workers, [PROGRAM], limits=CHIP_LIMITS) as scheduler:
        scheduler.warm_up()
        started_s = time.perf_counter()
        wait([scheduler.submit(*asked(image)) for _ in range(count)])
        took_s = time.perf_counter() - started_s
    idle_ms = [round(rest, 4) for worker in workers for rest in worker.idle_ms]
    return {
        "saturated_share": count / took_s / MOST_PER_S,
        "share_by_own_cost": SERVICE_MS / (SERVICE_MS + statistics.mean(idle_ms)),
        "idle_between_runs_ms": idle_ms,
    }


def poisson_gaps_s(count: int, seed: int) -> list[float]:
    rng = random.Random(seed)
    return [rng.expovariate(LOADED_PER_S) for _ in range(count)]


def arriving(gaps_s: list[float]) -> dict[str, object]:
    """Latencies in ms, and those of an ideal queue given the same arrivals."""
    image = np.ones((3, *PROGRAM.size), np.float32)
    arrived_s, answered_s, futures = [], [0.0] * len(gaps_s), []
    with started(simulated(), [PROGRAM]) as scheduler:
        due_s = time.perf_counter()
        for index, gap_s in enumerate(gaps_s):
            due_s += gap_s
            time.sleep(max(0.0, due_s - time.perf_counter()))
            arrived_s.append(time.perf_counter())
            future = scheduler.submit(*asked(image))
            future.add_done_callback(lambda _, i=index: stamp(answered_s, i))
            futures.append(future)
        wait(futures)
    latencies_ms = [1e3 * (end - begin) for begin, end in zip(arrived_s, answered_s)]
    return {
        "p50_ms": percentile(latencies_ms, 0.50),
        "p99_ms": percentile(latencies_ms, 0.99),
        "ideal_p99_ms": percentile(ideal_ms(arrived_s), 0.99),
        "latencies_ms": [round(latency_ms, 2) for latency_ms in latencies_ms],
    }


def stamp(answered_s: list[float], index: int) -> None:
    answered_s[index] = time.perf_counter()


def ideal_ms(arrived_s: list[float]) -> list[float]:
    """First come, first served, on as many cores, without any cost of scheduling or waking up."""
    free_s, latencies_ms = [0.0] * CORES, []
    for moment_s in arrived_s:
        end_s = max(moment_s, heapq.heappop(free_s)) + SERVICE_MS / 1e3
        heapq.heappush(free_s, end_s)
        latencies_ms.append(1e3 * (end_s - moment_s))
    return latencies_ms


def fault_run(count: int) -> dict[str, object]:
    """What each of many requests was told while cores fail."""
    schedule = [Fault(n, ACTIONS[n // 125 % len(ACTIONS)]) for n in range(125, count, 125)]
    schedule += [Fault(700, Action.REPLACE), Fault(1300, hang=True)]
    rng = np.random.default_rng(0)
    sizes = sorted({program.size for program in MIXED})
    kinds = [rng.normal(size=(100, 3, *size)).astype(np.float32) for size in sizes]
    chosen = [(int(rng.integers(3)), int(rng.integers(100))) for _ in range(count)]
    answers: Counter[int] = Counter()
    futures: list[Future[np.ndarray]] = []
    device = simulated(*schedule, latency_ms=1.0)
    with started(device, MIXED, replace(CHIP_LIMITS, run_timeout_s=2.0)) as scheduler:
        for index, (kind, number) in enumerate(chosen):
            future = scheduler.submit(*asked(kinds[kind][number]))
            future.add_done_callback(lambda _, i=index: answers.update([i]))
            futures.append(future)
        told = Counter(
            judged(future, kinds[kind][number]) for future, (kind, number) in zip(futures, chosen)
        )
        snapshot = scheduler.snapshot()
    device.release()
    return {
        "requests": count,
        "answered_once": sum(times == 1 for times in answers.values()),
        **told,
        "faults": sum(fault.nth <= device.calls[RUN, None] for fault in schedule),
        "retries": snapshot.retries,
        "cores_in_service": snapshot.cores_in_service,
    }


def judged(future: Future[np.ndarray], image: np.ndarray) -> str:
    try:
        depth = future.result(60)["depth"]
    except ServeError:
        return "clear_error"
    return "right" if np.array_equal(depth, simulated_depth(image[None])[0]) else "wrong"


def percentile(samples: list[float], share: float) -> float:
    return sorted(samples)[int(share * len(samples))]


def summary(measured: list[dict]) -> dict[str, object]:
    """Best and median of the rounds."""
    shares = [found["saturated_share"] for found in measured]
    even_ms = [found["even"]["p99_ms"] for found in measured]
    p99s_ms = [found["poisson"]["p99_ms"] for found in measured]
    over_ms = [p["p99_ms"] - p["ideal_p99_ms"] for p in (found["poisson"] for found in measured)]
    sleep = [found["sleeping_share"] for found in measured]
    own = [found["share_by_own_cost"] for found in measured]
    return {
        "saturated_share": {"best": max(shares), "median": statistics.median(shares)},
        "sleeping_share": {"best": max(sleep), "median": statistics.median(sleep)},
        "share_by_own_cost": {"best": max(own), "median": statistics.median(own)},
        "even_p99_ms": {"best": min(even_ms), "median": statistics.median(even_ms)},
        "poisson_p99_ms": {"best": min(p99s_ms), "median": statistics.median(p99s_ms)},
        "poisson_p99_over_ideal_ms": {"best": min(over_ms), "median": statistics.median(over_ms)},
    }


def line(found: dict) -> str:
    poisson_run = found["poisson"]
    return (
        f"sleeping {found['sleeping_share']:.1%}, saturated {found['saturated_share']:.1%} "
        f"(by own cost {found['share_by_own_cost']:.1%}), "
        f"p99 even {found['even']['p99_ms']:.1f} ms, "
        f"Poisson {poisson_run['p99_ms']:.1f} ms (ideal {poisson_run['ideal_p99_ms']:.1f} ms), "
        f"load {found['load_average']:.1f}"
    )


def machine() -> dict[str, object]:
    return {
        "system": platform.platform(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "numpy": np.__version__,
    }


if __name__ == "__main__":
    typer.run(main)
