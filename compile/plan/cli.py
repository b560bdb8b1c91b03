"""`python -m compile plan`: latency, throughput and cost on Neuron instances, estimated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

import typer

from compile.plan.estimate import DECODE_MS, Layout
from compile.views import check_scenes
from depth.chips import INSTANCES
from depth.command import choice_option
from depth.errors import InputError
from depth.family import Model, model_named, models
from depth.sizes import Size, parse_size

_VIEWS = (1, 2, 4, 8)  # of a scene, if no number is named
_MODELS = ", ".join(models())
_SIZE = typer.Option(
    [],
    help="HEIGHTxWIDTH in px; by default each model's own for a square, 518x518 of vits.",
    show_default=False,
)
_INSTANCE = choice_option(["inf1.xlarge"], INSTANCES, "What to rent.")
_SCENE_VIEWS = typer.Option(
    [],
    help="Views of a scene, of models of scenes. Repeat it for several; 1, 2, 4 and 8 by default.",
)
_DECODE = typer.Option(
    DECODE_MS,
    help="CPU-ms per image for decoding, resizing and writing depth. The default was measured "
    "with 2048x1362 photographs on other processors; 0 if others do it.",
)


def plan(
    model: list[str] = typer.Option(
        ["vits"],
        metavar="NAME",
        help=f"One of {_MODELS}. Repeat it, or --size or --instance, to compare.",
    ),
    size: list[str] = _SIZE,
    instance: list[str] = _INSTANCE,
    batch: int = typer.Option(1, help="Images per run."),
    views: list[int] = _SCENE_VIEWS,
    split: bool = typer.Option(
        False, "--split/--fused", help="The model's stages as programs of their own, or all as one."
    ),
    cores_per_program: int = typer.Option(
        1, help="More than one: NeuronCore Pipeline, on inf1 only."
    ),
    attention_blocks: int = typer.Option(
        1, help="Slices of the queries: the variant of the lowering pass attention_blocks."
    ),
    price_per_hour: Optional[float] = typer.Option(
        None, help="Dollars for the instance; by default on demand in us-east-1, as once published."
    ),
    decode_ms: float = _DECODE,
) -> None:
    """Estimate speed and cost on Neuron instances.

    Nothing here was measured on an instance.

    One network, size and instance: the layout that was asked for beside its alternatives, the best
    one marked. Several: a line for each. Figures in brackets are the range.
    """
    from compile.plan.plan import plan_for
    from compile.plan.tables import overview_table, plan_table

    if price_per_hour is not None and len(instance) > 1:
        raise InputError("--price-per-hour is the price of one instance: name a single --instance")
    layout = Layout(batch, split, cores_per_program, attention_blocks)
    rows = [model_named(name) for name in model]
    for row in rows:
        check_scenes(row, views, rays=False, calibrated=False)
    if any(row.takes_scenes for row in rows):
        if layout != Layout() or not all(row.takes_scenes for row in rows):
            raise InputError(
                "models of scenes are planned by themselves, with --views, --size and --instance "
                "only: leave out other models and the options of a layout"
            )
        typer.echo(_scenes(rows, size, instance, views, price_per_hour, decode_ms))
        return
    plans = [
        plan_for(row, pixels, machine, layout, price_per_hour, decode_ms)
        for row in rows
        for pixels in _sizes(row, size)
        for machine in instance
    ]
    typer.echo(plan_table(plans[0]) if len(plans) == 1 else overview_table(plans))


def _sizes(row: Model, named: Sequence[str]) -> list[Size]:
    return [parse_size(text, row.size.check) for text in named] or [row.native_size]


def _scenes(
    rows: Sequence[Model],
    sizes: Sequence[str],
    instances: Sequence[str],
    views: Sequence[int],
    price_per_hour: Optional[float],
    decode_ms: float,
) -> str:
    from compile.plan.scenes import scene_plan_for, scene_table

    return scene_table(
        [
            scene_plan_for(row, pixels, count, machine, price_per_hour, decode_ms)
            for row in rows
            for pixels in _sizes(row, sizes)
            for machine in instances
            for count in dict.fromkeys(views or _VIEWS)
        ]
    )
