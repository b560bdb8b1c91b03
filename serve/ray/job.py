"""A run whose work the workers of a cluster do."""

from __future__ import annotations

from typing import Callable, Optional

from depth.chips import INF1, INF2
from serve.engine import Engine
from serve.jobs.entry import OnEntry, Report
from serve.jobs.objects.making import Made, Making
from serve.jobs.objects.run import Run
from serve.ray.worker import Duty, open_engine


def run_ray(
    run: Run,
    places: tuple[str, str, Optional[str]],
    making: Making,
    made: Made,
    on_entry: OnEntry,
    address: Optional[str] = None,
    workers: Optional[int] = None,
    engine: Callable[[Making], Engine] = open_engine,
) -> Report:
    """Run a job on a cluster; `on_entry` gets every entry.

    places   source, target and address of the S3 server, for the workers
    address  of the cluster; None for RAY_ADDRESS, or else this machine
    workers  at once; None for one per NeuronCore or machine
    engine   that a worker opens

    Raises as `Run.run`, InputError for a cluster without NeuronCores, and ModuleNotFoundError
    without ray.
    """
    from serve.ray.cluster import RayJob, cluster

    duty = Duty(*places, making, made.folder, len(made.suffixes) - 1, engine)
    with cluster(address):
        job = RayJob(run, duty, made.as_json()["target"] in (INF1, INF2), workers)
        report = run.run(job.do, on_entry)
        report.restart = job.restart
        return report
