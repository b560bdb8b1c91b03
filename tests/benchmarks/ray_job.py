"""A Ray job whose workers and driver are killed: what was lost, and what was done twice.

    .tools/ray/bin/python -m tests.benchmarks.ray_job    # as root; `make test-ray` makes .tools/ray

Ray finds four NeuronCores through a stand-in of neuron-ls in a mount namespace of this process. The
network is a stand-in that takes 0.1 s per image. A worker is killed after every 200 images and the
driver once. The toll goes to tests/benchmarks/results/ray-job.json.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import typer

from depth.store.objects import open_store
from tests.support.folder_jobs import write_images
from tests.support.neuron_ls import become
from tests.support.object_jobs import left
from tests.support.places import ROOT
from tests.support.ray_jobs import CORES_LOG, taken_twice, workers_in

RESULT = Path(__file__).parent / "results/ray-job.json"


def main(
    images: int = typer.Option(2000, help="Small images."),
    every: int = typer.Option(200, help="Images after which a worker is killed."),
    seconds: float = typer.Option(0.1, help="That the stand-in takes for an image."),
) -> None:
    """Kill workers and the driver of a Ray job, and count what was lost or done twice."""
    become(__spec__.name, *sys.argv[1:])
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch)
        write_images(work / "in", images)
        toll = {
            "images": images,
            "seconds_per_image": seconds,
            **_torment(work, images, every, seconds),
        }
    text = json.dumps(toll, indent=2)
    RESULT.write_text(text + "\n")
    typer.echo(text)


def _torment(work: Path, images: int, every: int, seconds: float) -> dict[str, object]:
    (work / "cores").mkdir()
    begun_s, killed, drivers = time.monotonic(), 0, 1
    driver = _start(work, seconds)
    random_ = random.Random(0)
    for count in range(every, images, every):
        while driver.poll() is None and _results(work) < count:
            time.sleep(0.2)
        workers = list(_workers(work))
        if driver.poll() is not None or not workers:
            break
        os.kill(random_.choice(workers), signal.SIGKILL)
        killed += 1
        if drivers == 1 and count >= images // 2:
            driver.kill()
            driver.wait()
            drivers, driver = 2, _start(work, seconds)
    code = driver.wait()
    with open_store(str(work / "out")) as store:
        there = left(store)
    cores = list(workers_in(work / "cores").values())
    return {
        "exit_code": code,
        "killed_workers": killed,
        "drivers": drivers,
        "right": sum(len(keys) == 1 for keys in there.images.values()) - len(there.wrong),
        "several": sum(len(keys) > 1 for keys in there.images.values()),
        "wrong": len(there.wrong),
        "orphans": len(there.orphans),
        "cores_of_workers": {core: cores.count(core) for core in sorted(set(cores))},
        "cores_of_two_at_once": len(taken_twice(work / "cores")),
        "wall_s": round(time.monotonic() - begun_s, 1),
    }


def _start(work: Path, seconds: float) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.support.ray_jobs", work / "in", work / "out"]
    environment = {**os.environ, CORES_LOG: str(work / "cores"), "PYTHONPATH": str(ROOT)}
    with (work / "log").open("ab") as log:
        return subprocess.Popen(
            [*map(str, command), str(seconds), "0", "inf1"],
            cwd=ROOT,
            env=environment,
            stdout=log,
            stderr=log,
        )


def _results(work: Path) -> int:
    return sum(1 for path in (work / "out").rglob("*.png.*.json"))


def _workers(work: Path) -> Iterator[int]:
    """Ids of the workers that run: each noted its own."""
    for process in workers_in(work / "cores"):
        if Path(f"/proc/{process}").exists():
            yield process


if __name__ == "__main__":
    typer.run(main)
