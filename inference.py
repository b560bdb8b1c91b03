"""The main job: every image in a folder becomes a depth map in another."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Optional

import typer

from compile.errors import CompileError
from depth.command import command_line, guarded
from depth_anything_v2.config import MODELS, model_named
from serve.errors import ServeError
from serve.options import DRY_RUN, FAIL_FAST, OUTPUT_SIZE, PREPROCESS, RETRY_FAILED

if TYPE_CHECKING:
    from compile.on_demand import Cache
    from serve.engine import Engine
app = command_line()


@app.command()
def inference(
    input: Path = typer.Option(Path("input_images"), help="Folder of images."),  # noqa: A002
    output: Path = typer.Option(Path("output_depth"), help="Folder that receives depth files."),
    model: Optional[str] = typer.Option(
        None,
        help=f"One of {', '.join(MODELS)}. By default vits, or demo if the weights of vits cannot "
        "be had.",
    ),
    target: str = typer.Option("openvino", help="openvino, onnx or torchscript."),
    precision: str = typer.Option("fp32", help="fp32; with openvino also bf16 (faster) and int8."),
    format: list[str] = typer.Option(  # noqa: A002
        ["png"], help="png (16-bit), npy, npz, pfm, exr or tiff. Repeat it for several."
    ),
    preview: bool = typer.Option(False, help="Also write a colour picture of each depth map."),
    policy: str = typer.Option(
        "exact",
        help="exact: upstream's size for every image, a program compiled for each. buckets: the "
        "nearest of seven common shapes, for folders of many different sizes.",
    ),
    input_size: Optional[int] = typer.Option(
        None,
        min=1,
        help="Short side of the network's input in px; by default what the model is made for.",
    ),
    checkpoint: Optional[Path] = typer.Option(
        None, help="Weights file; by default the model's own in checkpoints/, or downloaded."
    ),
    artifacts: Path = typer.Option(Path("artifacts"), help="Where compiled programs are kept."),
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

    cache = _cache(artifacts, model, checkpoint, target, precision, input)
    remark, stand_in = cache.weights.remark, cache.weights.stand_in
    job = FolderJob(
        input, output, format, preview, remark, stand_in, retry_failed, fail_fast, dry_run
    )
    with _engine(cache, policy, input_size, preprocess, output_size) as engine:
        raise typer.Exit(run(engine, job))


def _cache(
    folder: Path,
    model: Optional[str],
    checkpoint: Optional[Path],
    target: str,
    precision: str,
    images: Path,
) -> Cache:
    from compile.on_demand import Cache
    from compile.targets.table import host_target
    from compile.weights import choose

    host_target(target, precision)
    weights = choose(model_named(model) if model else None, checkpoint)
    if weights.remark:
        typer.echo(weights.remark, err=True)
    return Cache(folder, weights, target, precision, images)


def _engine(
    cache: Cache, policy: str, input_size: Optional[int], preprocess: str, output_size: str
) -> Engine:
    from serve.engine import Engine
    from serve.library import Library
    from serve.shapes import BUCKETS, common_sizes

    short_side_px = input_size or model_named(cache.weights.model).short_side_px
    sizes = common_sizes(short_side_px) if policy == BUCKETS else ()
    library = Library(cache.artifacts(), build=cache.build)
    return Engine(library, policy, short_side_px, sizes, preprocess, output_size)


if __name__ == "__main__":
    guarded(app, "inference.py", CompileError, ServeError)
