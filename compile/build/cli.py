"""`python -m compile build`: checkpoint in, verified artifact out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Optional

import typer

from compile.build.asked import build_asked
from compile.build.request import Request, requested
from compile.targets.table import TARGETS
from compile.views import VIEWS
from depth.command import choice_option
from depth.family import model_named, models
from depth.sizes import size_text

IMAGES = typer.Option(
    Path("input_images"),
    help="Folder of photographs: parity uses up to 3 beside its own test images, and int8 is "
    "calibrated on up to 32 others.",
)
_TARGET = choice_option("openvino", TARGETS, "inf1, inf2: on a machine with its compiler.")
SIZE = typer.Option(
    [],
    help="HEIGHTxWIDTH in px, multiples of the model's step: 14, or 32 of MiDaS. By default the "
    "model's own for a square, 518x518 of vits. Repeat it for several programs.",
    show_default=False,
)
_VARIANTS = typer.Option(
    [],
    help="A lowering pass beside those of the target, or a variant of a pass: resize=conv1x1, "
    "attention_blocks=4, input=fp16. See compile/lowering/README.md. Repeatable.",
)
_PRECISION = typer.Option(
    None,
    help="fp32, or with openvino bf16, int8, or auto: the fastest within its limit, measured on "
    "this CPU and your images; for inf1 and inf2 a compiler mode, see `python "
    "-m compile precision`. By default the target's first.",
)
FLOAT_LAYERS_HELP = (
    "int8: parts of the network that stay float, in place of those chosen by measured error. "
    "Name modules, like decoder.reduce or encoder.blocks.0. Repeatable."
)
_VIEWS = typer.Option(
    [],
    min=1,
    help="Views of a scene, for models of scenes: programs for each number. By default 1, 2 and 4. "
    "Repeatable.",
)
_RAYS = typer.Option(
    False, "--rays", help="Models of scenes: also what cameras from rays are made with."
)
_TIMEOUT = typer.Option(
    None,
    min=1,
    help="inf1 and inf2: end a compiler run after this long; by default 2 hours. A try with an "
    "easier try behind it has half of this.",
)
_FORCE = typer.Option(
    False,
    "--force",
    help="Write the artifact even if parity fails; it says so, and serving refuses it.",
)


def build(
    model: str = typer.Option("vits", metavar="NAME", help=f"One of {', '.join(models())}."),
    target: str = _TARGET,
    precision: Optional[str] = _PRECISION,
    size: list[str] = SIZE,
    batch: list[int] = typer.Option([1], help="Images per run. Repeat it for several programs."),
    split: bool = typer.Option(
        False, "--split", help="Encoder and decoder as programs of their own."
    ),
    views: list[int] = _VIEWS,
    rays: bool = _RAYS,
    out: Path = typer.Option(Path("artifacts"), help="Folder that receives the artifact."),
    checkpoint: Optional[str] = typer.Option(
        None,
        help="Weights file; by default the model's own in checkpoints/. The word `untrained` takes "
        "fixed-seed weights, to try a target without a download.",
    ),
    images: Path = IMAGES,
    force: bool = _FORCE,
    variant: list[str] = _VARIANTS,
    float_layers: list[str] = typer.Option([], help=FLOAT_LAYERS_HELP),
    timeout_s: Optional[float] = _TIMEOUT,
) -> None:
    """Build an artifact and prove it: prints its folder.

    Every saved program is compared with the eager fp32 network on test images. If one is over the
    limit, nothing is written and the exit code is 1. A program for inf1 or inf2 can be compared on
    its device only: `python -m compile parity ARTIFACT --on-device`.
    """
    from depth.console import steps

    named = size or [size_text(model_named(model).native_size)]
    sizes, batches = list(dict.fromkeys(named)), list(dict.fromkeys(batch))
    with steps(total=_steps(model, len(sizes), len(batches), len(set(views)))) as step:

        def ask(chosen: Optional[str], floats: Sequence[str]) -> Request:
            return requested(
                *(model, target, chosen, sizes, batches, checkpoint, images, step),
                *(floats, timeout_s),
                split=split,
                views=views,
                rays=rays,
                force=force,
                variants=variant,
            )

        folder = build_asked(ask, target, precision, float_layers, out, step)
    typer.echo(folder)


def _steps(model: str, sizes: int, batches: int, views: int) -> int:
    """What a build tells of: reading, and of each size preparing, compiling and checking."""
    if not model_named(model).takes_scenes:
        return 1 + 3 * sizes * batches
    return 1 + sizes * (2 + 2 * batches + 2 * (views or len(VIEWS)))
