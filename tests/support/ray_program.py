"""A Ray job with a compiled program of a store, whose workers keep it where the driver does not.

    python -m tests.support.ray_program SOURCE TARGET URL STORE ALIAS FOLDER WORKERS together|apart

together  all workers keep the artifact in one folder, as on one machine
apart     each worker keeps it in a folder of its own, as if nothing were shared
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

from serve.engine import Engine
from serve.jobs.objects.making import Making
from serve.jobs.objects.places import open_places
from serve.jobs.objects.run import Run, RunAsked
from serve.jobs.stop import Stop
from serve.ray.job import run_ray
from serve.ray.worker import open_engine


def apart(making: Making) -> Engine:
    """An engine over an artifact that no other worker keeps."""
    return open_engine(replace(making, kept_in=making.kept_in / str(os.getpid())))


def main() -> None:
    source, target, url, store, alias, folder, workers, how = sys.argv[1:]
    own = Making((store,), alias, url, Path(folder) / "driver")
    made = own.made(own.library())
    theirs = replace(own, kept_in=Path(folder) / "workers")
    names = source, target, url
    with open_places(*names) as places:
        run = Run(places, made, RunAsked(), Stop())
        report = run_ray(
            run,
            names,
            theirs,
            made,
            lambda *_: None,
            workers=int(workers),
            engine=apart if how == "apart" else open_engine,
        )
    sys.exit(report.exit_code)


if __name__ == "__main__":
    main()
