"""The main job: every image in a folder becomes a depth map in another."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Optional

import typer

from compile.errors import CompileError
from depth.command import command_line, guarded
from depth.family import model_named, models
from serve.errors import ServeError
from serve.options import (
    DRY_RUN,
    FAIL_FAST,
    FOCAL_PX,
    FORMAT,
    FOV_DEG,
    INPUT,
    INTRINSICS,
    OUTPUT,
    OUTPUT_SIZE,
    PREPROCESS,
    PREVIEW,
    RETRY_FAILED,
    focal_asked,
)

if TYPE_CHECKING:
    from compile.on_demand import Cache
    from compile.weights import Weights
    from depth.steps.focal import FocalAsked
    from serve.engine import Engine

app = command_line()

_MODEL = typer.Option(
    None,
    help=f"One of {', '.join(models())}. By default vits, or demo if the weights of vits cannot be "
    "had.",
)
_POLICY = typer.Option(
    "exact",
    help="exact: upstream's size for every image, a program compiled for each. buckets: the "
    "nearest of seven common shapes, for folders of many different sizes.",
)
_INPUT_SIZE = typer.Option(
    None,
    min=1,
    help="Side of the network's input in px, the short one or, of da3 models, the long one; by "
    "default what the model is made for.",
)


@app.command()
def inference(
    input: Path = INPUT,  # noqa: A002
    output: Path = OUTPUT,
    model: Optional[str] = _MODEL,
    target: str = typer.Option("openvino", help="openvino, onnx or torchscript."),
    precision: str = typer.Option("fp32", help="fp32; with openvino also bf16 (faster) and int8."),
    format: list[str] = FORMAT,  # noqa: A002
    preview: bool = PREVIEW,
    policy: str = _POLICY,
    input_size: Optional[int] = _INPUT_SIZE,
    checkpoint: Optional[Path] = typer.Option(
        None, help="Weights file; by default the model's own in checkpoints/, or downloaded."
    ),
    artifacts: Path = typer.Option(Path("artifacts"), help="Where compiled programs are kept."),
    focal_px: Optional[float] = FOCAL_PX,
    fov_deg: Optional[float] = FOV_DEG,
    intrinsics: Optional[Path] = INTRINSICS,
    preprocess: str = PREPROCESS,
    output_size: str = OUTPUT_SIZE,
    retry_failed: bool = RETRY_FAILED,
    fail_fast: bool = FAIL_FAST,
    dry_run: bool = DRY_RUN,
) -> None:
    """Estimate the depth of every image in a folder.

    For input_images/a/b.jpg: output_depth/a/b.png, 16 bits, and b.json, which says what its values
    mean. Programs are compiled when first needed, checked against the original network, and kept.

    Exit code 0 all done, 1 failed, 2 usage, 3 some images failed or left: depth-report.jsonl in the
    output folder says what became of each. Run it again for the rest: what is whole, and made from
    the same bytes with the same settings, is kept. Ctrl-C, SIGTERM or, on EC2, the notice that a
    spot instance is taken back finishes the images under way.
    """
    from serve.folder.cli import run
    from serve.folder.request import FolderJob

    focal = focal_asked(focal_px, fov_deg, intrinsics)
    weights = _weights(model, checkpoint, target, precision)
    job = FolderJob(
        input,
        output,
        formats=format,
        preview=preview,
        maps=[output.name for output in model_named(weights.model).outputs],
        remark=weights.remark,
        stand_in=weights.stand_in,
        retry_failed=retry_failed,
        fail_fast=fail_fast,
        dry_run=dry_run,
    )
    cache = _cache(artifacts, weights, target, precision, input)
    with _engine(cache, policy, input_size, preprocess, output_size, focal) as engine:
        raise typer.Exit(run(engine, job))


def _weights(
    model: Optional[str], checkpoint: Optional[Path], target: str, precision: str
) -> Weights:
    from compile.targets.table import host_target
    from compile.weights import choose

    host_target(target, precision)
    weights = choose(model_named(model) if model else None, checkpoint)
    if weights.remark:
        typer.echo(weights.remark, err=True)
    return weights


def _cache(folder: Path, weights: Weights, target: str, precision: str, images: Path) -> Cache:
    from compile.on_demand import Cache

    return Cache(folder, weights, target, precision, images)


def _engine(
    cache: Cache,
    policy: str,
    input_size: Optional[int],
    preprocess: str,
    output_size: str,
    focal: FocalAsked,
) -> Engine:
    from serve.engine import Engine
    from serve.library import Library
    from serve.shapes import BUCKETS, common_sizes

    rule = model_named(cache.weights.model).size
    rule = replace(rule, side_px=input_size or rule.side_px)
    sizes = common_sizes(rule) if policy == BUCKETS else ()
    library = Library(cache.artifacts(), build=cache.build)
    return Engine(library, policy, rule, sizes, preprocess, output_size, focal)


def main() -> None:
    """Run the command line as inference.py."""
    guarded(app, "inference.py", CompileError, ServeError)
