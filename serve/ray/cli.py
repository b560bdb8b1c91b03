"""`python -m serve ray`: images in stores to depth files, on the machines of a Ray cluster."""

from __future__ import annotations

from typing import Optional

import typer

from depth.command import takes_options
from serve.jobs.objects.options import ObjectOptions


@takes_options(ObjectOptions)
def ray(
    options: ObjectOptions,
    source: str = typer.Argument(help="The images: s3://bucket/prefix, or a shared folder."),
    target: str = typer.Argument(help="Where results go: s3://bucket/prefix, or a shared folder."),
    address: Optional[str] = typer.Option(
        None, help="The cluster's head, or auto; by default RAY_ADDRESS, or else this machine."
    ),
    workers: Optional[int] = typer.Option(
        None, min=1, help="Workers at once; by default one per NeuronCore, or machine with a CPU."
    ),
) -> None:
    """Make depth files of every image of a store on a Ray cluster.

    Each worker has one NeuronCore, or the CPU of a machine, and reads and writes images itself.
    Prints the depth files. Exit codes, results and reruns are those of `serve s3`.
    """
    from serve.jobs.entry import FAILED
    from serve.jobs.objects.places import open_places
    from serve.jobs.objects.run import Run
    from serve.jobs.screen import shown
    from serve.jobs.stop import Stop
    from serve.ray.job import run_ray

    making, asked, stop = options.making(), options.asked(), Stop()
    names = source, target, options.endpoint_url
    made = making.made(making.library())
    with open_places(*names) as places:
        run = Run(places, made, asked, stop)
        report = shown(
            stop,
            lambda on_entry: run_ray(
                run,
                names,
                making,
                made,
                on_entry,
                address,
                workers,
            ),
            lambda key: f"{places.results.name}/{key}",
        )
    if report.counts[FAILED] and not asked.dry_run:
        typer.echo(f"reasons are in {run.log_place}-*.jsonl", err=True)
    if report.left:
        typer.echo("run the same command again for the rest", err=True)
    raise typer.Exit(report.exit_code)
