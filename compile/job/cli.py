"""`python -m compile job`: checkpoint to pushed artifact in one command that can be run again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Optional

import typer

from compile.targets.table import TARGETS
from depth.chips import INSTANCES
from depth.command import choice_option
from depth.family import models

if TYPE_CHECKING:
    from compile.job.run import Outcome
    from compile.job.spec import JobSpec

_TARGET = choice_option(None, TARGETS, "By default openvino.")
_INSTANCE = choice_option(None, INSTANCES, "What the plan is made for.")


def job(
    file: Optional[Path] = typer.Argument(None, help="Job file, TOML; options go before it."),
    model: Optional[str] = typer.Option(
        None, metavar="NAME", help=f"One of {', '.join(models())}."
    ),
    target: Optional[str] = _TARGET,
    sizes: Optional[list[str]] = typer.Option(
        None, "--size", help="HEIGHTxWIDTH in px. Repeatable."
    ),
    batches: Optional[list[int]] = typer.Option(
        None, "--batch", help="Images per run. Repeatable."
    ),
    precision: Optional[str] = typer.Option(
        None,
        help="Like `build`. On inf1 and inf2, auto is the fastest mode that is forecast within the "
        "limit, and the default.",
    ),
    checkpoint: Optional[str] = typer.Option(None, help="Weights file, or untrained."),
    accept_licence: Optional[bool] = typer.Option(
        None, "--accept-licence", help="Of a published checkpoint that asks for it."
    ),
    split: Optional[bool] = typer.Option(None, "--split", help="Each stage as a program."),
    views: Optional[list[int]] = typer.Option(
        None, min=1, help="Views of a scene, like `build`. Repeatable."
    ),
    rays: Optional[bool] = typer.Option(None, "--rays", help="Models of scenes, like `build`."),
    variants: Optional[list[str]] = typer.Option(
        None, "--variant", help="Lowering, like `build`. Repeatable."
    ),
    images: Optional[str] = typer.Option(None, help="Folder of photographs for the checks."),
    float_layers: Optional[list[str]] = typer.Option(
        None, help="Parts that stay float in int8, like `build`. Repeatable."
    ),
    out: Optional[str] = typer.Option(None, help="Folder that receives artifact and report."),
    store: Optional[str] = typer.Option(None, help="s3://bucket/prefix, or a folder, to push to."),
    endpoint_url: Optional[str] = typer.Option(None, help="S3 server other than AWS."),
    instance: Optional[str] = _INSTANCE,
    timeout_s: Optional[float] = typer.Option(None, min=1, help="One compiler run, like `build`."),
) -> None:
    """Run every step from the weights to the store.

    The steps are fetch, preflight, precision, build and push. Prints the artifact's folder.

    Each finished step is kept in OUT/jobs: run the same job again after an interruption, and it
    goes on. Its report.md there says what was done and found, also if a step fails.

    A job file has the names of the options, with _ for -, and sizes and batches as lists:
    model = "vits", target = "inf1", sizes = ["518x518", "518x686"], store = "s3://bucket/models".
    """
    given = dict(locals())  # but for the file, each parameter is called like a field of the job
    del given["file"]
    options = {name: value for name, value in given.items() if value not in (None, [], ())}

    from compile.job.spec import make_spec, read_spec

    found = {**(read_spec(file) if file else {}), **options}
    outcome = _run(make_spec(found, str(file) if file else "job"))
    typer.echo(f"report: {outcome.report}", err=True)
    typer.echo(outcome.artifact)


def _run(spec: JobSpec) -> Outcome:
    from compile.job.run import run_job  # loads torch, which a wrong option need not wait for
    from depth.console import say

    return run_job(spec, say)
