"""`python -m serve fetch`: results of a job over stores into a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

import typer


def fetch(
    store: str = typer.Argument(
        metavar="RESULTS",
        help="Where the job wrote to, s3://bucket/prefix or a folder, or a job's folder in it.",
    ),
    out: Path = typer.Argument(metavar="OUT", help="Folder that gets the files. It is made."),
    endpoint_url: Optional[str] = typer.Option(
        None, help="S3 server other than AWS; by default what the AWS settings say."
    ),
) -> None:
    """Copy the results of an S3 or Ray job into a folder.

    They get the names that tools read. The files are those of a folder job: a/b.png and a/b.json of
    the image a/b.jpg, or those of a preset, with its files for all images. Every hash is compared.
    Prints the depth files.

    Exit code 0 all done, 1 failed, 2 usage, 3 some results are damaged or left. Run it again for
    the rest: a file that is there and has its hash is kept.
    """
    from depth.console import counted, one_line
    from depth.store.objects import open_store
    from serve.fetch.found import find
    from serve.fetch.job import run_fetch
    from serve.fetch.place import check_apart, job_folder
    from serve.jobs.screen import shown
    from serve.jobs.stop import Stop

    stop = Stop()
    with open_store(store, endpoint_url) as opened:
        job = job_folder(opened)
        check_apart(store, job, out)
        typer.echo(f"{one_line(job.prefix or opened.name)}: {job.settings.text}", err=True)
        with counted("listing results", None) as on_count:
            found = find(opened, job.prefix, on_count)
        report = shown(
            stop,
            lambda on_entry: run_fetch(opened, job, found, out, on_entry, stop),
            lambda name: str(out / name),
            "results",
        )
    if report.left:
        typer.echo("run the same command again for the rest", err=True)
    raise typer.Exit(report.exit_code)
