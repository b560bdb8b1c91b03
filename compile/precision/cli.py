"""`python -m compile precision`: which precision mode a model can take, forecast on a CPU."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Optional

import typer

from compile.build.request import MAX_PHOTOGRAPHS
from compile.targets.modes import modes_of
from compile.views import check_scenes
from depth.chips import CHIPS
from depth.command import choice_option
from depth.errors import InputError
from depth.family import Model, model_named, models
from depth.files import write_whole
from depth.sizes import Size, parse_size, size_text

if TYPE_CHECKING:
    from compile.precision.report import PrecisionReport

_VIEWS = 2  # of a scene, if no number is named
_MODEL = typer.Option(
    ["vits"], metavar="NAME", help=f"One of {', '.join(models())}. Repeat it for several."
)
_TARGET = choice_option(["inf1"], CHIPS, "Repeat it for several.")


def precision(
    model: list[str] = _MODEL,
    target: list[str] = _TARGET,
    size: Optional[list[str]] = typer.Option(
        None,
        help="HEIGHTxWIDTH in px; by default the model's own for a picture of 3:4. Repeat it for "
        "several.",
    ),
    views: list[int] = typer.Option(
        [], help="Views of a scene, of models of scenes. Repeat it for several; 2 by default."
    ),
    rays: bool = typer.Option(False, "--rays", help="Models of scenes: also their rays."),
    checkpoint: Optional[list[str]] = typer.Option(
        None,
        help="Weights file, or the word `untrained`: one for each --model, in their order. By "
        "default each model's own in checkpoints/.",
    ),
    images: Path = typer.Option(
        Path("input_images"), help="Folder of photographs to use beside the built-in test images."
    ),
    no_lowering: bool = typer.Option(
        False, "--no-lowering", help="Take the network as published, with no pass applied."
    ),
    out: Optional[Path] = typer.Option(None, help="Write the tables to this file too, explained."),
) -> None:
    """Forecast what each Neuron precision mode costs in depth.

    Picks the fastest mode within the limit, by rank. Rounds on a CPU what the compiler is
    documented to cast: a forecast, not a measurement. Prints a table for each model, size and
    target; the exit code is 1 if one has no mode in the limit.
    """
    if out is not None and not out.parent.is_dir():
        raise InputError(f"{out.parent}: no such folder to write {out.name} to; make it first")
    modes = [mode for name in target for mode in modes_of(name)]
    jobs = [
        (row, given, pixels, count)
        for row, given, pixels in _jobs(model, checkpoint, size)
        for count in _views_of(row, views, rays)
    ]

    from compile.parity.inputs import photographs
    from compile.precision.forecast import runs
    from compile.precision.report import document
    from compile.precision.scenes import Scenes
    from compile.precision.survey import survey
    from compile.specialise import specialise
    from compile.targets.table import BF16, NEURON_PASSES
    from compile.weights import read
    from depth.console import steps

    reports: list[PrecisionReport] = []
    with steps(total=len(jobs) * (2 + runs(modes))) as step:
        for row, given, pixels, count in jobs:
            step(f"{row.name} at {size_text(pixels)}: read the weights")
            weights = read(row, given)
            reports += survey(
                specialise(row, weights, pixels),
                f"{row.name} ({weights.name})",
                modes,
                () if no_lowering else NEURON_PASSES,
                photographs(images, MAX_PHOTOGRAPHS),
                BF16,
                step,
                Scenes(count, rays) if count else None,
            )
    typer.echo("\n".join(report.markdown() for report in reports), nl=False)
    if out is not None:
        write_whole(out, document(reports, _this_command()))
    for report in reports:
        report.choose()  # raises PrecisionError if no mode is within the limit


def _views_of(row: Model, views: Sequence[int], rays: bool) -> list[Optional[int]]:
    """The numbers of views to forecast for; None of a model that takes one image at a time."""
    check_scenes(row, views, rays, calibrated=False)
    return [*(dict.fromkeys(views) or [_VIEWS])] if row.takes_scenes else [None]


def _this_command() -> str:
    words = sys.argv[sys.argv.index("precision") :]
    return shlex.join(["python", "-m", "compile", *words])


def _jobs(
    models: Sequence[str], checkpoints: Optional[Sequence[str]], sizes: Optional[Sequence[str]]
) -> list[tuple[Model, Optional[str], Size]]:
    """Model, checkpoint as given, and size of every table."""
    rows = [model_named(name) for name in models]
    given: Sequence[Optional[str]] = checkpoints or [None] * len(rows)
    if len(given) != len(rows):
        raise InputError(
            f"{len(given)} checkpoints for {len(rows)} models: give one for each --model, in their "
            "order, or none"
        )
    return [
        (row, checkpoint, size)
        for row, checkpoint in zip(rows, given)
        for size in (
            [parse_size(text, row.size.check) for text in sizes]
            if sizes
            else [row.size.size_for(3, 4)]
        )
    ]
