"""The main job: every image in a folder becomes a depth map in another."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Optional

import typer

from compile.errors import CompileError
from depth.command import command_line, guarded
from depth.errors import InputError
from depth.family import model_named
from depth_anything.model_options import (
    ARTIFACTS,
    CHECKPOINT,
    INPUT_SIZE,
    MODEL,
    NO_STAND_IN,
    POLICY,
    PRECISION,
    TARGET,
    weights_of,
)
from serve.errors import ServeError
from serve.folder.options import FolderOptions, takes_folder_options

app = command_line()

_CHOOSE = typer.Option(
    False, "--choose", help="List the models, ask which to run, and fetch it if needed."
)


@app.command()
@takes_folder_options
def inference(
    options: FolderOptions,
    model: Optional[str] = MODEL,
    target: str = TARGET,
    precision: str = PRECISION,
    policy: str = POLICY,
    input_size: Optional[int] = INPUT_SIZE,
    checkpoint: Optional[Path] = CHECKPOINT,
    artifacts: Path = ARTIFACTS,
    choose: bool = _CHOOSE,
    no_stand_in: bool = NO_STAND_IN,
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
    if not options.input.exists():  # before weights are asked for, perhaps over the network
        raise InputError(f"{options.input}: no such image or folder of images")
    if choose:
        model = _chosen(model, checkpoint)
    elif no_stand_in:
        model = model or WANTED_MODEL
    weights = weights_of(model, checkpoint, target, precision)
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


def main() -> None:
    """Run the command line as inference.py."""
    guarded(app, "inference.py", CompileError, ServeError)
