"""The options that choose a model and what its programs are made for, for the commands that take
images.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Optional

import typer

from depth.command import choice_option, path_option
from depth.family import image_model_named, image_models

if TYPE_CHECKING:
    from compile.weights import Weights

MODEL = choice_option(
    None,
    image_models(),
    "By default vits, or demo if the weights of vits cannot be had. Models of scenes: main.py da3.",
)
TARGET = choice_option(
    "openvino",
    ("openvino", "onnx", "torchscript", "inf1", "inf2"),
    "What programs are compiled for. Those of inf1 and inf2 run on their device only, and not by "
    "this command.",
)
PRECISION = choice_option(
    "fp32",
    ("fp32", "bf16", "int8", "auto"),
    "bf16 (faster), int8 and auto are precisions of openvino. auto: the fastest within the limits "
    "on this CPU.",
)
POLICY = choice_option(
    "exact",
    ("exact", "buckets"),
    "exact: upstream's size for every image, a program compiled for each. buckets: the "
    "nearest of seven common shapes, for folders of many different sizes.",
)
INPUT_SIZE = typer.Option(
    None,
    min=1,
    help="Side of the network's input in px, the short one or, of da3 models, the long one; by "
    "default what the model is made for.",
)
CHECKPOINT = path_option(
    None,
    "Weights file; by default the model's own in checkpoints/, here or beside inference.py, or "
    "downloaded.",
)
NO_STAND_IN = typer.Option(
    False, "--no-stand-in", help="If the weights of vits cannot be had, fail; do not run demo."
)
ARTIFACTS = path_option(Path("artifacts"), "Where compiled programs are kept.")


def weights_of(
    model: Optional[str], checkpoint: Optional[Path], target: str, precision: str
) -> Weights:
    """The weights of a model, or of the model that stands in for it. Says a remark on stderr.

    Raises InputError for a target or precision that does not fit, CheckpointError without weights.
    """
    from compile.targets.table import AUTO, default_precision, host_target
    from compile.weights import choose

    host_target(target, default_precision(target) if precision == AUTO else precision)
    weights = choose(image_model_named(model) if model else None, checkpoint)
    if weights.remark:
        typer.echo(weights.remark, err=True)
    return weights
