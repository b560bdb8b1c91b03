"""Whether anything waits: folder jobs against what the network and the host need by themselves.

    python -m tests.benchmarks.pipeline artifacts/NAME

cpu        images end to end, against the time of the network alone plus the host's CPU time shared
           by the cores. 100 %: while there is work, no core stands idle.
simulated  end to end in front of a simulated device of 15 images/s, 16-bit PNG at full size. It
           takes time but computes next to nothing, as a NeuronCore would be for the host, and gives
           the same depth, the demo model's for one photograph, every time.
memory     peak of a process that brings 2,000 photographs through the host path and such a device
cold       one photograph by a new process of `python -m serve folder`, its program compiled before

The photographs are repeated as links. Raw samples go to tests/benchmarks/results/pipeline.json.
Nothing here is a measurement of a NeuronCore.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import typer

from compile.specialise import specialise
from compile.weights import BUNDLED
from depth.artifact.manifest import Artifact, read_artifact
from depth.artifact.program import ProgramKey
from depth.images.read import read_image
from depth.maps.files import encode_map
from depth.maps.result import FloatArray
from depth.postprocess import resize_depth
from depth.preprocess import Preparation
from depth.sizes import size_text
from depth.weights.checkpoint import read_checkpoint
from serve.arrays import Arrays
from serve.backend import CHIP_LIMITS, Backend
from serve.bench.network import images_per_s, noise, open_program
from serve.bench.report import describe_machine
from serve.engine import Engine
from serve.folder.job import run_folder
from serve.folder.request import FolderJob
from serve.jobs.entry import DONE, Entry
from serve.library import Library
from serve.shapes import BUCKETS
from tests.benchmarks.folder_memory import memory_mb
from tests.support.places import PHOTOS, ROOT
from tests.support.programs import DEMO
from tests.support.simulated import Device, Model, SimulatedWorker

RESULT = Path(__file__).parent / "results/pipeline.json"
DEVICE_PER_S = 15.0  # twice the only published figure of this network on a NeuronCore
MEMORY_IMAGES = 2000
CPUS = len(os.sched_getaffinity(0))


class Memory(NamedTuple):
    """At one moment. A folder job takes images by the size of their program."""

    size: str
    images: int  # of this size, done so far
    resident_mb: float


def main(
    artifact: Path = typer.Argument(help="An artifact for a CPU, with programs of batch 1."),
    photos: Path = typer.Option(PHOTOS, help="Folder of photographs."),
    images: int = typer.Option(96, help="Images of one folder job."),
    rounds: int = typer.Option(3, help="How often everything is measured."),
) -> None:
    """Measure in turns, print a summary, and write every sample."""
    served = read_artifact(artifact)
    found: dict[str, list[dict[str, float]]] = {"cpu": [], "simulated": [], "cold": []}
    with tempfile.TemporaryDirectory() as scratch:
        folder = repeated(photos, images, Path(scratch) / "images")
        for number in range(rounds):
            found["cpu"].append(cpu(served, folder, photos))
            found["simulated"].append({"images_per_s": simulated(served, folder)})
            found["cold"].append({"wall_s": cold(artifact, photos)})
            typer.echo(f"round {number + 1}: {[rows[-1] for rows in found.values()]}", err=True)
        many = repeated(photos, MEMORY_IMAGES, Path(scratch) / "many")
        memory = memory_of(artifact, many)
    report = {
        "machine": describe_machine(),
        "artifact": artifact.name,
        "images": images,
        **found,
        "memory_mb": memory,
    }
    RESULT.write_text(json.dumps(report, default=vars) + "\n")
    typer.echo(json.dumps(summary(found, memory), indent=2))


def repeated(photos: Path, count: int, folder: Path) -> Path:
    """A folder of `count` links to the photographs, in turn."""
    folder.mkdir()
    originals = sorted(photos.resolve().iterdir())
    for number in range(count):
        original = originals[number % len(originals)]
        (folder / f"{number:05}-{original.name}").symlink_to(original)
    return folder


def cpu(artifact: Artifact, folder: Path, photos: Path) -> dict[str, float]:
    """Seconds per image: the network alone before and after, the host's CPU, and all together."""
    before_s = network_s(artifact)
    with Engine(Library([artifact]), BUCKETS) as engine:
        host_s = host_cpu_s(engine, photos)
        wall_s = folder_s_per_image(engine, folder)
    model_s = (before_s + network_s(artifact)) / 2
    alone_s = model_s + host_s / CPUS
    return {
        "network_s": model_s,
        "host_cpu_s": host_s,
        "end_to_end_s": wall_s,
        "share": alone_s / wall_s,
    }


def network_s(artifact: Artifact, runs: int = 8) -> float:
    """Per image, over every size that the artifact has, as many at once as a folder job runs."""
    seconds = []
    for size in Library([artifact]).sizes:
        with open_program(artifact, size, streams=2) as runtime:
            seconds.append(1 / images_per_s(runtime, noise(artifact, size), runs, streams=2))
    return statistics.mean(seconds)


def host_cpu_s(engine: Engine, photos: Path) -> float:
    """CPU time per image of everything but the network."""
    engine.make_ready(engine.library.sizes)
    paths = sorted(photos.iterdir())
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)  # so that it is all in this thread
    host_path_s(engine, paths[0])
    seconds = [host_path_s(engine, path) for path in paths]
    cv2.setNumThreads(threads)
    return statistics.mean(seconds)


def host_path_s(engine: Engine, path: Path) -> float:
    started = time.thread_time()
    prepared = engine.prepare(read_image(path, engine.needed))
    raw = engine.run(prepared)  # in another thread: its time does not count here
    encode_map(engine.finish(raw), "png", {"path": path.name})
    return time.thread_time() - started


def folder_s_per_image(engine: Engine, folder: Path) -> float:
    """Between the first and the last image that a folder job finishes."""
    times: list[float] = []

    def note(entry: Entry, _total: int) -> None:
        if entry.status != DONE:
            raise typer.BadParameter(f"{entry.image}: {entry.reason}")
        times.append(time.perf_counter())

    with tempfile.TemporaryDirectory() as output:
        run_folder(engine, FolderJob(folder, Path(output)), note)
    return (times[-1] - times[0]) / (len(times) - 1)


class Giving:
    """A simulated core whose depth looks like depth: encoding it takes the time that it takes."""

    def __init__(self, worker: SimulatedWorker, depth: FloatArray) -> None:
        self.load, self.unload, self.close = worker.load, worker.unload, worker.close
        self._worker = worker
        self._depth = lru_cache(lambda size: resize_depth(depth, size)[None])

    def run(self, program: ProgramKey, arrays: Arrays) -> Arrays:
        self._worker.run(program, arrays)
        # A device would write it into memory as well.
        return {"depth": self._depth(program.size).copy()}


@contextmanager
def device(artifact: Artifact, images_per_s: float) -> Iterator[Engine]:
    """An engine in front of one simulated core."""
    simulated_device = Device(Model(lambda _program, _core: 1e3 / images_per_s))
    depth = some_depth()

    def worker(core: int) -> Giving:
        return Giving(simulated_device.worker(core), depth)

    def backend(_library: Library, _images: int) -> Backend:
        return Backend([worker(0)], worker, images_at_once=2 + CPUS, limits=CHIP_LIMITS)

    with Engine(Library([artifact]), BUCKETS, backend=backend) as engine:
        yield engine


def some_depth() -> FloatArray:
    """Of one photograph, by the bundled weights in torch."""
    import torch

    network = specialise(DEMO, read_checkpoint(BUNDLED), (126, 196))
    pixels = read_image(sorted(PHOTOS.iterdir())[0]).pixels
    with torch.no_grad():
        images = Preparation(DEMO.before, DEMO.size)(pixels, (126, 196))
        depth: FloatArray = network(torch.from_numpy(images))[0].numpy()
    return depth


def simulated(artifact: Artifact, folder: Path) -> float:
    """Images per second end to end."""
    with device(artifact, DEVICE_PER_S) as engine:
        return 1 / folder_s_per_image(engine, folder)


def cold(artifact: Path, photos: Path) -> float:
    """Wall time of a process for the first photograph alone."""
    with tempfile.TemporaryDirectory() as scratch:
        one = repeated(photos, 1, Path(scratch) / "one")
        command = [sys.executable, "-m", "serve", "folder", str(artifact.resolve())]
        command += ["--input", str(one), "--output", str(Path(scratch) / "out")]
        started = time.perf_counter()
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
        return time.perf_counter() - started


def memory_of(artifact: Path, folder: Path) -> list[Memory]:
    """Of a process of its own, ten times a second."""
    command = [sys.executable, "-m", "tests.benchmarks.pipeline", "--memory-of"]
    command += [str(artifact.resolve()), str(folder)]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE)
    return [Memory(*sample) for sample in json.loads(done.stdout)]


def sample_memory(artifact: Artifact, folder: Path) -> None:
    """The process that `memory_of` starts."""
    done: Counter[str] = Counter({"": 0})  # images by size, the latest size last
    samples, ended = [], threading.Event()

    def sample() -> None:
        while not ended.wait(0.1):
            size, images = list(done.items())[-1]
            samples.append(Memory(size, images, memory_mb(os.getpid())))

    def count(entry: Entry, _total: int) -> None:
        made = entry.settings.provenance if entry.settings else None
        if made is not None:
            done[size_text((made.model_height_px, made.model_width_px))] += 1

    watcher = threading.Thread(target=sample)
    watcher.start()
    with tempfile.TemporaryDirectory() as output, device(artifact, 1000.0) as engine:
        run_folder(engine, FolderJob(folder, Path(output)), count)
    ended.set()
    watcher.join()
    sys.stdout.write(json.dumps(samples))


def summary(found: dict[str, list[dict[str, float]]], memory: list[Memory]) -> dict[str, Any]:
    medians = {
        f"{name} {key}": round(statistics.median(row[key] for row in rows), 4)
        for name, rows in found.items()
        for key in rows[0]
    }
    rate = medians["simulated images_per_s"]
    return {
        **medians,
        f"simulated share of {DEVICE_PER_S:g}/s": round(rate / DEVICE_PER_S, 4),
        "memory peak MB": max(sample.resident_mb for sample in memory),
    }


if __name__ == "__main__":
    if sys.argv[1:2] == ["--memory-of"]:
        sample_memory(read_artifact(Path(sys.argv[2])), Path(sys.argv[3]))
    else:
        typer.run(main)
