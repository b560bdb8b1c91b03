"""The options that upstream's run.py and run_video.py share."""

from __future__ import annotations

from typing import Any

import typer

from depth.command import choice_option
from depth.family import RELATIVE_INVERSE, models

INPUT_SIZE = typer.Option(
    None,
    min=1,
    help="Short side of the network's input in px; by default what the model is made for, 518 "
    "for upstream's.",
)
ENCODER = choice_option(
    "vitl",
    [name for name, model in models().items() if model.kind == RELATIVE_INVERSE],
    "The model.",
)
GRAYSCALE = typer.Option(False, "--grayscale", help="Gray instead of colours.")


def pred_only(beside: str) -> Any:
    """The option that leaves out what else stands beside the depth, such as "photograph"."""
    return typer.Option(False, "--pred-only", help=f"Without the {beside} beside it.")
