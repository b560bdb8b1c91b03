"""The network alone: how long one run takes, and how many run per second with several at once."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from depth.artifact.manifest import Artifact
from depth.maps.result import FloatArray
from depth.preprocess import prepare
from serve.library import Size
from serve.runtimes.table import Runtime, open_runtime


def noise(artifact: Artifact, size: Size) -> FloatArray:
    """Network input [1,3,h,w] from pixels of a fixed seed; the values do not change the time."""
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    return prepare(pixels, size, artifact.manifest.preprocess.folded)


def open_program(artifact: Artifact, size: Size, streams: int = 1) -> Runtime:
    """The program of this size and batch 1, with `streams` runs at once."""
    return open_runtime(artifact, artifact.manifest.stages(size), streams)


def latencies_ms(runtime: Runtime, images: FloatArray, runs: int) -> list[float]:
    """The time of each of `runs` runs, one after the other."""
    found = []
    for _ in range(runs):
        started = time.perf_counter()
        runtime.run(images)
        found.append((time.perf_counter() - started) * 1e3)
    return found


def images_per_s(runtime: Runtime, images: FloatArray, runs: int, streams: int) -> float:
    """Throughput of `runs` runs, asked for by as many threads as the runtime has streams."""
    with ThreadPoolExecutor(streams) as pool:
        list(pool.map(runtime.run, [images] * streams))  # every thread and stream has begun once
        started = time.perf_counter()
        list(pool.map(runtime.run, [images] * runs))
        return runs * len(images) / (time.perf_counter() - started)
