"""`python -m serve s3`: images of a bucket to depth files in a bucket."""

from __future__ import annotations

import typer

from depth.command import takes_options
from depth.errors import InputError
from serve.jobs.objects.options import ObjectOptions


@takes_options(ObjectOptions)
def s3(
    options: ObjectOptions,
    source: str = typer.Argument(help="The images: s3://bucket/prefix."),
    target: str = typer.Argument(help="Where the results go: s3://bucket/prefix."),
) -> None:
    """Make depth files of every image below a prefix of S3.

    Prints the depth files. Credentials and region are those of the AWS settings.

    Exit code 0 all done, 1 failed, 2 usage, 3 some images failed or left, 75 a new process has to
    go on. Run it again for the rest: results that are there are found by a listing. Several
    machines share a job with --shard 0/4 to 3/4. Ctrl-C, SIGTERM or a spot notice finishes the
    images under way.
    """
    from serve.jobs.entry import FAILED
    from serve.jobs.objects.places import open_places
    from serve.jobs.screen import shown
    from serve.jobs.stop import Stop
    from serve.s3.job import S3Job

    for each in (source, target):
        if not each.startswith("s3://"):
            raise InputError(f"{each!r}: expected s3://bucket/prefix; `serve folder` takes folders")
    making, asked, stop = options.making(), options.asked(), Stop()
    library = making.library()
    made = making.made(library)
    with (
        open_places(source, target, options.endpoint_url) as places,
        making.engine(library) as engine,
    ):
        job = S3Job(engine, places, making, made, asked, stop)
        report = shown(stop, job.run, lambda key: f"{places.results.name}/{key}")
    if report.counts[FAILED] and not asked.dry_run:
        typer.echo(f"reasons are in {job.log_place}-*.jsonl", err=True)
    if report.left:
        typer.echo("run the same command again for the rest", err=True)
    raise typer.Exit(report.exit_code)
