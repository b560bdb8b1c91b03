"""`python -m compile preflight`: would it compile, and would it fit? No weights, no compiler."""

from __future__ import annotations

from typing import Optional

import typer

from compile.errors import PreflightError
from compile.targets.modes import mode_named
from depth.chips import CHIPS
from depth.command import choice_option
from depth.errors import InputError
from depth.family import model_named, models
from depth.sizes import parse_size

_TARGET = choice_option("inf1", CHIPS, "What it would run on.")


def preflight(
    model: str = typer.Option("vits", metavar="NAME", help=f"One of {', '.join(models())}."),
    target: str = _TARGET,
    size: list[str] = typer.Option(
        ["518x518"], help="HEIGHTxWIDTH in px. Repeat it for several programs."
    ),
    batch: list[int] = typer.Option([1], help="Images per run. Repeat it for several programs."),
    passes: Optional[str] = typer.Option(
        None, help="Lowering passes, comma-separated; by default those that the target uses."
    ),
    no_lowering: bool = typer.Option(
        False, "--no-lowering", help="Check the network as published, with no pass applied."
    ),
    precision: Optional[str] = typer.Option(
        None, help="Mode that memory is estimated for; by default the target's widest."
    ),
    checkpoint: Optional[str] = typer.Option(
        None,
        help="Weights file to check as well: does it fit the model? The graph and its memory are "
        "the same for all weights, so none are needed.",
    ),
) -> None:
    """Check whether a Neuron compiler takes every operator.

    Traces on the CPU and prints a table per program: operators, where they come from, verdict and
    remedy; then device memory, an estimate. The exit code is 1 if anything would be left for the
    CPU or would not fit.
    """
    from compile.targets.table import neuron_target

    if passes is not None and no_lowering:
        raise InputError("--passes and --no-lowering exclude each other: give one of them")
    needed = neuron_target(target).passes
    chosen = needed if passes is None else [name for name in passes.split(",") if name]
    mode = None if precision is None else mode_named(target, precision)
    row = model_named(model)
    sizes = dict.fromkeys(parse_size(text, row.size.check) for text in size)
    shapes = [(pair, count) for pair in sizes for count in dict.fromkeys(batch)]

    from compile.preflight.programs import lane_remark, network_for, preflight_all
    from compile.preflight.report import all_together, problems_of
    from depth.console import steps

    network = network_for(row, checkpoint)
    with steps(total=len(shapes)) as step:
        reports = preflight_all(
            network, target, shapes, None if no_lowering else chosen, mode, step
        )
    remark = lane_remark(target)
    if remark:
        typer.echo(remark, err=True)
    sections = [*(report.text() for report in reports), all_together(reports).text()]
    typer.echo("\n\n".join(sections))
    problems = problems_of(reports)
    if problems:
        raise PreflightError("; ".join(problems))
