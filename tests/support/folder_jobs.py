"""Folder jobs without a compiled program: a true manifest over a network that is a sum of colours.

As a script it runs such a job with the real command's output and signals:

    python -m tests.support.folder_jobs INPUT OUTPUT SECONDS_PER_IMAGE
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

from depth.artifact.program import ProgramKey
from depth.maps.result import FloatArray
from depth.sizes import Size
from serve.arrays import Arrays
from serve.backend import Backend, ProgramWorker
from serve.engine import Engine
from serve.errors import Action, ProgramError
from serve.folder.request import FolderJob
from serve.library import Library
from serve.shapes import BUCKETS
from tests.support.hostile import encoded, picture
from tests.support.manifests import made_artifact, made_manifest

SIZE = (28, 42)
_made: list[Engine] = []


@dataclass
class Sum:
    """Takes `duration_s`; from image `fails_from` on it fails, whatever is tried."""

    duration_s: float = 0.0
    fails_from: float = float("inf")
    runs: int = 0

    def run(self, arrays: Arrays) -> dict[str, FloatArray]:
        self.runs += 1
        if self.runs >= self.fails_from:
            raise ProgramError("the device is gone", Action.REQUEST_FAULT)
        time.sleep(self.duration_s)
        return {"depth": abs(arrays["images"]).sum(axis=1)}


class StandIn(Library):
    """A library whose only program is a `Sum`."""

    def __init__(self, network: Sum, identity: str, size: Size = SIZE) -> None:
        manifest = made_manifest([ProgramKey(*size, 1)])
        super().__init__([replace(made_artifact(manifest), identity=identity)])
        self.network = network


def two_cores(library: StandIn, _images: int) -> Backend:
    """Both run the library's `Sum`."""
    workers = [ProgramWorker(lambda _program: library.network) for _ in range(2)]
    return Backend(workers, None, images_at_once=4, shared=True)


def make_engine(
    duration_s: float = 0.0, identity: str = "0" * 64, fails_from: float = float("inf")
) -> Engine:
    """Closed by `close_engines`."""
    engine = Engine(StandIn(Sum(duration_s, fails_from), identity), BUCKETS, backend=two_cores)
    _made.append(engine)
    return engine


def close_engines() -> None:
    """Close those made so far."""
    while _made:
        _made.pop().close()


def write_images(folder: Path, count: int) -> None:
    """Small images in two folders, each different."""
    for index in range(count):
        path = folder / str(index % 2) / f"{index:04}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(picture(20 + index % 5, 30, seed=index), "PNG", compress_level=1))


def main() -> None:
    from serve.folder.cli import run
    from serve.jobs.stop import Stop

    source, output, duration_s = sys.argv[1:]
    job = FolderJob(Path(source), Path(output))
    sys.exit(run(make_engine(float(duration_s)), job, Stop()))


if __name__ == "__main__":
    main()
