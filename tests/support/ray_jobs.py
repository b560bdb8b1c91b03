"""Ray jobs with a stand-in of the network.

As a script, in an environment that has ray, it runs such a job with the real command's output:

    python -m tests.support.ray_jobs SOURCE TARGET SECONDS_PER_IMAGE WORKERS TARGET_OF_THE_ARTIFACT
"""

from __future__ import annotations

import fcntl
import os
import signal
import sys
from dataclasses import replace
from functools import partial
from io import TextIOWrapper
from pathlib import Path
from typing import Any

from serve.backend import Backend, ProgramWorker
from serve.engine import Engine
from serve.jobs import stage
from serve.jobs.objects.making import Making
from serve.jobs.objects.places import open_places
from serve.jobs.objects.run import Run, RunAsked
from serve.jobs.stop import Stop
from serve.ray.job import run_ray
from serve.shapes import BUCKETS
from tests.support.folder_jobs import StandIn, Sum

CORES_LOG = "DEPTH_TEST_CORES"  # a folder in which each worker notes its core, and holds it
KILLER = "DEPTH_TEST_KILLER"  # the name of an image that ends the worker which decodes it
WORKER, TWICE = "worker-", "twice-"  # of files in the folder of CORES_LOG
_held: list[TextIOWrapper] = []


def one_core(library: StandIn, _images: int) -> Backend:
    """One core, which takes `duration_s` for an image."""
    return Backend([ProgramWorker(lambda _program: library.network)], None, 2, True)


def library_of(target: str, duration_s: float = 0.0) -> StandIn:
    """A stand-in whose manifest names a target."""
    library = StandIn(Sum(duration_s), "0" * 64)
    for size, served in library.single.items():
        manifest = replace(served.artifact.manifest, target=target)
        library.single[size] = served._replace(artifact=replace(served.artifact, manifest=manifest))
        library._served[served.shape] = library.single[size]
    return library


def take_core(folder: Path) -> None:
    """Note this process's core, and hold the core until the process has ended, however it ends.

    A file that begins with TWICE says that another process still held the core.
    """
    core = os.environ.get("NEURON_RT_VISIBLE_CORES", "none")
    file = (folder / f"core-{core}").open("a")
    _held.append(file)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        (folder / f"{TWICE}{os.getpid()}").write_text(core)
    (folder / f"{WORKER}{os.getpid()}").write_text(core)


def workers_in(folder: Path) -> dict[int, str]:
    """The core of each worker that there was, by process id."""
    return {int(path.name[len(WORKER) :]): path.read_text() for path in folder.glob(f"{WORKER}*")}


def taken_twice(folder: Path) -> list[str]:
    """Cores that two workers held at once."""
    return [path.read_text() for path in folder.glob(f"{TWICE}*")]


def _deadly(killer: str) -> None:
    """From here on, the image `killer` ends this process when it is decoded."""
    decode = stage.decode

    def deadly(file: Any, needed: Any) -> Any:
        if file.name == killer:
            os.kill(os.getpid(), signal.SIGKILL)
        return decode(file, needed)

    stage.decode = deadly


def standin_engine(target: str, duration_s: float, _making: Making) -> Engine:
    """What a worker opens; see CORES_LOG and KILLER."""
    if os.environ.get(CORES_LOG):
        take_core(Path(os.environ[CORES_LOG]))
    if os.environ.get(KILLER):
        _deadly(os.environ[KILLER])
    return Engine(library_of(target, duration_s), BUCKETS, backend=one_core)


def main() -> None:
    from serve.jobs.screen import shown

    source, target, duration_s, workers, chip = sys.argv[1:]
    making, stop = Making(("stand-in",)), Stop()
    made = making.made(library_of(chip))
    engine = partial(standin_engine, chip, float(duration_s))
    with open_places(source, target, None) as places:
        run = Run(places, made, RunAsked(), stop)
        report = shown(
            stop,
            lambda on_entry: run_ray(
                run,
                (source, target, None),
                making,
                made,
                on_entry,
                workers=int(workers) or None,
                engine=engine,
            ),
            lambda key: f"{places.results.name}/{key}",
        )
    sys.exit(report.exit_code)


if __name__ == "__main__":
    main()
