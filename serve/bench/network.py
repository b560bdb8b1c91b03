"""The network alone: how long one run takes, and how many run per second with several at once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from depth.artifact.manifest import Artifact
from depth.artifact.program import ProgramKey, Shape
from depth.family import IMAGES
from depth.maps.result import FloatArray
from depth.sizes import Size
from serve.arrays import Arrays
from serve.backend import core_count, open_backend, open_runtime
from serve.library import Library
from serve.recipe import Recipe
from serve.runtimes.program import Runtime
from serve.scheduling.scheduler import Scheduler


def noise(artifact: Artifact, size: Size) -> Arrays:
    """Network input for one image of random pixels; the values do not change the time."""
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    return {IMAGES.name: Recipe.of(artifact.manifest).before(pixels, size)}


def key_of(artifact: Artifact, size: Size) -> ProgramKey:
    """The program of this size for one image."""
    return Shape(*size, stage=artifact.manifest.runs[0]).batch_of(1)


@contextmanager
def open_program(artifact: Artifact, size: Size, streams: int = 1) -> Iterator[Runtime]:
    """The program of this size for one image, loaded: on a CPU with `streams` runs at once, on a
    chip on every core of this process.

    Raises as `open_runtime` and `Scheduler.warm_up`.
    """
    key = key_of(artifact, size)
    if core_count(artifact) is None:
        yield open_runtime(artifact, artifact.manifest.stages(key), streams)
        return
    library = Library([artifact], allow_failed_parity=True, allow_unverified=True)
    backend = open_backend(library, streams)
    with Scheduler(backend.workers, [key], backend.reopen, backend.limits) as scheduler:
        scheduler.warm_up()
        yield _Scheduled(scheduler, key.shape)


@dataclass(frozen=True)
class _Scheduled:
    """A program on every core, as the engine runs it."""

    scheduler: Scheduler
    shape: Shape

    def run(self, arrays: Arrays) -> dict[str, FloatArray]:
        """One image by name, with its axis for the batch."""
        one = {name: array[0] for name, array in arrays.items()}
        found = self.scheduler.submit(one, self.shape).result()
        return {name: array[None] for name, array in found.items()}


def latencies_ms(runtime: Runtime, arrays: Arrays, runs: int) -> list[float]:
    """The time of each of `runs` runs, one after the other."""
    found = []
    for _ in range(runs):
        started = time.perf_counter()
        runtime.run(arrays)
        found.append((time.perf_counter() - started) * 1e3)
    return found


def images_per_s(runtime: Runtime, arrays: Arrays, runs: int, streams: int) -> float:
    """Throughput of `runs` runs of one image, asked for by as many threads as there are streams."""
    with ThreadPoolExecutor(streams) as pool:
        list(pool.map(runtime.run, [arrays] * streams))  # every thread and stream has begun once
        started = time.perf_counter()
        list(pool.map(runtime.run, [arrays] * runs))
        return runs / (time.perf_counter() - started)
