"""The main job: every image in a folder becomes a depth map in another."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Optional

import typer

from compile.errors import CompileError
from depth.command import choice_option, command_line, guarded, path_option
from depth.errors import InputError
from depth.family import image_model_named, image_models, model_named
from serve.errors import ServeError
from serve.folder.options import FolderOptions, takes_folder_options

if TYPE_CHECKING:
    from compile.weights import Weights

app = command_line()

_MODEL = choice_option(
    None,
    image_models(),
    "By default vits, or demo if the weights of vits cannot be had. Models of scenes: main.py da3.",
)
_TARGET = choice_option(
    "openvino",
    ("openvino", "onnx", "torchscript", "inf1", "inf2"),
    "What programs are compiled for. Those of inf1 and inf2 run on their device only, and not by "
    "this command.",
)
_PRECISION = choice_option(
    "fp32",
    ("fp32", "bf16", "int8", "auto"),
    "bf16 (faster), int8 and auto are precisions of openvino. auto: the fastest within the limits "
    "on this CPU.",
)
_POLICY = choice_option(
    "exact",
    ("exact", "buckets"),
    "exact: upstream's size for every image, a program compiled for each. buckets: the "
    "nearest of seven common shapes, for folders of many different sizes.",
)
_INPUT_SIZE = typer.Option(
    None,
    min=1,
    help="Side of the network's input in px, the short one or, of da3 models, the long one; by "
    "default what the model is made for.",
)
_CHECKPOINT = path_option(
    None,
    "Weights file; by default the model's own in checkpoints/, here or beside inference.py, or "
    "downloaded.",
)
_CHOOSE = typer.Option(
    False, "--choose", help="List the models, ask which to run, and fetch it if needed."
)
_NO_STAND_IN = typer.Option(
    False, "--no-stand-in", help="If the weights of vits cannot be had, fail; do not run demo."
)
_ARTIFACTS = path_option(Path("artifacts"), "Where compiled programs are kept.")


@app.command()
@takes_folder_options
def inference(
    options: FolderOptions,
    model: Optional[str] = _MODEL,
    target: str = _TARGET,
    precision: str = _PRECISION,
    policy: str = _POLICY,
    input_size: Optional[int] = _INPUT_SIZE,
    checkpoint: Optional[Path] = _CHECKPOINT,
    artifacts: Path = _ARTIFACTS,
    choose: bool = _CHOOSE,
    no_stand_in: bool = _NO_STAND_IN,
) -> None:
    """Depth maps of an image, or of every image in a folder.

    For input_images/a/b.jpg: output_depth/a/b.png, 16 bits, and b.json, which says what its values
    mean. Programs are compiled when first needed, checked against the original network, and kept.

    Exit code 0 all done, 1 failed, 2 usage, 3 some images failed or left: depth-report.jsonl in the
    output folder says what became of each. Run it again for the rest: what is whole, and made from
    the same bytes with the same settings, is kept. Ctrl-C, SIGTERM or, on EC2, the notice that a
    spot instance is taken back finishes the images under way.
    """
    from compile.on_demand import Cache
    from compile.weights import WANTED_MODEL
    from serve.folder.cli import run
    from serve.jobs.stop import Stop
    from serve.library import Library
    from serve.sequences import cli as sequences
    from serve.shapes import BUCKETS, common_sizes

    stop, focal, sequence = Stop(), options.focal(), sequences.asked_for(options)
    if options.preview is None:
        options = replace(options, preview=True)
    if choose:
        model = _chosen(model, checkpoint)
    elif no_stand_in:
        model = model or WANTED_MODEL
    weights = _weights(model, checkpoint, target, precision)
    row = model_named(weights.model)
    job = options.job(
        maps=[output.name for output in row.outputs],
        kind=row.kind,
        remark=weights.remark,
        stand_in=weights.stand_in,
    )
    cache = Cache(artifacts, weights, target, precision, options.input, stop.requested)
    library = Library(cache.artifacts(), build=cache.build)
    rule = replace(row.size, side_px=input_size or row.size.side_px)
    sizes = common_sizes(rule) if policy == BUCKETS else ()
    with options.engine(library, policy, focal, rule, sizes) as engine:
        if sequence:
            raise typer.Exit(sequences.run(engine, options, job, stop))
        raise typer.Exit(run(engine, job, stop))


def _chosen(model: Optional[str], checkpoint: Optional[Path]) -> str:
    from depth_anything.choosing import chosen_model

    if model or checkpoint:
        raise InputError("--choose asks for the model: leave --model and --checkpoint out")
    return chosen_model()


def _weights(
    model: Optional[str], checkpoint: Optional[Path], target: str, precision: str
) -> Weights:
    from compile.targets.table import AUTO, default_precision, host_target
    from compile.weights import choose

    host_target(target, default_precision(target) if precision == AUTO else precision)
    weights = choose(image_model_named(model) if model else None, checkpoint)
    if weights.remark:
        typer.echo(weights.remark, err=True)
    return weights


def main() -> None:
    """Run the command line as inference.py."""
    guarded(app, "inference.py", CompileError, ServeError)
