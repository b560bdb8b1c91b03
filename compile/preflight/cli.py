"""`python -m compile preflight`: would it compile, and would it fit? No weights, no compiler."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Optional

import typer

from compile.errors import PreflightError
from compile.targets.modes import Mode, mode_named
from compile.views import VIEWS, check_scenes
from depth.chips import CHIPS
from depth.command import choice_option
from depth.errors import InputError
from depth.family import Model, model_named, models
from depth.sizes import Size, parse_size

if TYPE_CHECKING:
    from compile.preflight.scenes import SceneShapes

_MODEL = "vits"
_TABLE_VIEWS = 4  # of the scenes in the table of all models
_TARGET = choice_option("inf1", CHIPS, "What it would run on.")
_ALL = typer.Option(
    False,
    "--all-models",
    help="A table of every model in place of one model's report; by default at the size of the "
    "checkpoints' patch grid and at one of the model's size rule. The exit code is 1 only if "
    "an operator would be left for the CPU; the table says what would not fit.",
)
_VIEWS = typer.Option(
    [],
    help="Views of a scene, of models of scenes. Repeat it for several programs. By default "
    "1, 2 and 4, and 4 with --all-models.",
)
_RAYS = typer.Option(
    False, "--rays", help="Models of scenes: also the stage that cameras from rays need."
)


def preflight(
    model: Optional[str] = typer.Option(
        None, metavar="NAME", help=f"One of {', '.join(models())}.", show_default="vits"
    ),
    all_models: bool = _ALL,
    target: str = _TARGET,
    size: list[str] = typer.Option(
        [],
        help="HEIGHTxWIDTH in px; by default the model's own for a square, 518x518 of vits. Repeat "
        "it for several programs.",
        show_default=False,
    ),
    batch: list[int] = typer.Option([1], help="Images per run. Repeat it for several programs."),
    views: list[int] = _VIEWS,
    rays: bool = _RAYS,
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
    if all_models:
        if model or checkpoint or no_lowering or rays or batch != [1]:
            raise InputError(
                "--all-models goes with --target, --size, --views, --passes and --precision"
            )
        _all_models(target, size, views or [_TABLE_VIEWS], chosen, mode)
    else:
        row = model_named(model or _MODEL)
        sizes = list(dict.fromkeys(parse_size(text, row.size.check) for text in size))
        sizes = sizes or [row.native_size]
        check_scenes(row, views, rays, calibrated=False)
        shapes = _Shapes(sizes, batch, views, rays)
        _one_model(row, checkpoint, target, shapes, None if no_lowering else chosen, mode)


@dataclass(frozen=True)
class _Shapes:
    """As the options say."""

    sizes: Sequence[Size]
    batches: Sequence[int]
    views: Sequence[int]
    rays: bool

    def of_images(self) -> list[tuple[Size, int]]:
        return [(pair, count) for pair in self.sizes for count in dict.fromkeys(self.batches)]

    def of_scenes(self) -> SceneShapes:
        from compile.preflight.scenes import SceneShapes

        batches, views = (tuple(dict.fromkeys(c)) for c in (self.batches, self.views or VIEWS))
        return SceneShapes(batches, views, self.rays)


def _one_model(
    row: Model,
    checkpoint: Optional[str],
    target: str,
    shapes: _Shapes,
    passes: Optional[Sequence[str]],
    mode: Optional[Mode],
) -> None:
    from compile.preflight import programs
    from compile.preflight.report import all_together, problems_of
    from depth.console import steps

    network, lines = programs.network_for(row, checkpoint), []
    if row.takes_scenes:
        scenes = shapes.of_scenes()
        with steps(total=len(shapes.sizes) * scenes.programs(row)) as step:
            reports, costs = programs.scene_reports(
                network, target, shapes.sizes, scenes, passes, mode, step
            )
        lines = ["\n".join(cost.text() for cost in costs)]
    else:
        asked = shapes.of_images()
        with steps(total=len(asked)) as step:
            reports = programs.preflight_all(network, target, asked, passes, mode, step)
    remark = programs.lane_remark(target)
    if remark:
        typer.echo(remark, err=True)
    sections = [*(report.text() for report in reports), *lines, all_together(reports).text()]
    typer.echo("\n\n".join(sections))
    problems = problems_of(reports)
    if problems:
        raise PreflightError("; ".join(problems))


def _usable(size: Sequence[str], every: Sequence[Model]) -> tuple[list[Model], list[Size]]:
    """The models that can have all these sizes, and the sizes.

    The others are named on stderr. Raises InputError if no model can have them.
    """
    found: list[Model] = []
    sizes: list[Size] = []
    problem: Optional[InputError] = None
    for row in every:
        try:
            sizes = [parse_size(text, row.size.check) for text in dict.fromkeys(size)]
            found.append(row)
        except InputError as error:
            problem = problem or error
    if problem and not found:
        raise problem
    left = [row.name for row in every if row not in found]
    if left:
        typer.echo(f"left out, {problem}: {', '.join(left)}", err=True)
    return found, sizes


def _all_models(
    target: str,
    size: Sequence[str],
    views: Sequence[int],
    passes: Sequence[str],
    mode: Optional[Mode],
) -> None:
    from compile.preflight.programs import lane_remark
    from compile.preflight.table import rows_of, table_text
    from depth.console import steps

    every, sizes = _usable(size, list(models().values()))
    with steps(total=len(every) * (len(sizes) or 2)) as step:
        rows = rows_of(every, target, sizes, views, passes, mode, step)
    remark = lane_remark(target)
    if remark:
        typer.echo(remark, err=True)
    typer.echo(table_text(rows))
    left = [row.name for row in rows if row.left_for_cpu]
    if left:
        raise PreflightError(f"operators would be left for the CPU: {', '.join(left)}")
