"""Upstream's metric_depth/depth_to_pointcloud.py: the same flags, the same points."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

import typer

from depth.command import choice_option, path_option
from depth.errors import InputError
from depth.family import METRES, RELATIVE_INVERSE, Model, models

_FAMILY = "depth_anything_v2"
_ENCODERS = ("vits", "vitb", "vitl", "vitg")  # upstream's
_FOCAL_PX = 470.4  # upstream's default
_IMG_PATH = path_option(
    ..., "An image, a folder of images, or a .txt file with a path per line.", "--img-path"
)
_OUTDIR = path_option(Path("vis_pointcloud"), "Folder that receives the PLY files.", "--outdir")
_LOAD_FROM = path_option(
    None, "Weights of a metric model; by default the published file's.", "--load-from"
)


def pointcloud(
    encoder: str = choice_option("vitl", _ENCODERS, "The size of the metric model."),
    load_from: Optional[Path] = _LOAD_FROM,
    max_depth: float = typer.Option(
        20.0, help="Largest depth in metres: 20 of the indoor models, 80 of the outdoor models."
    ),
    img_path: Path = _IMG_PATH,
    outdir: Path = _OUTDIR,
    focal_length_x: float = typer.Option(_FOCAL_PX, help="In px of the image."),
    focal_length_y: float = typer.Option(_FOCAL_PX, help="In px of the image."),
    input_size: Optional[int] = typer.Option(
        None,
        min=1,
        help="Short side of the network's input in px, 518 by default. Upstream's script takes the "
        "height of each image, which a large image has no memory for.",
    ),
) -> None:
    """Points in metres (PLY) with upstream's flags.

    \b
    python main.py pointcloud --encoder vits --max-depth 20 --img-path photos \\
      --focal-length-x 470.4 --focal-length-y 470.4

    x is right, y down, z forward. Relative models have no metres, and are refused. Other points
    and surfaces, also of relative depth with --fit: main.py export.
    """
    from depth_anything.upstream.flat import run_job
    from serve.folder.flat.points import PointJob

    model = metric_model(encoder, max_depth)
    if load_from is not None:
        check_metric(load_from)
    factor = max_depth / (model.depth.largest or max_depth)
    job = PointJob(img_path, outdir, focal_length_x, focal_length_y, factor)
    raise typer.Exit(run_job(job, model.name, load_from, input_size))


def metric_model(encoder: str, max_depth_m: float) -> Model:
    """The metric model of this size whose largest depth is nearest; their depth has one shape.

    Raises InputError if there is none.
    """
    if not 0 < max_depth_m < float("inf"):
        raise InputError(f"--max-depth {max_depth_m:g} m: expected a number over 0")
    rows = [m for m in models().values() if (m.family, m.kind) == (_FAMILY, METRES)]
    found = [model for model in rows if model.weights_like == encoder]
    if not found:
        sizes = {model.weights_like for model in rows}
        raise InputError(
            f"--encoder {encoder}: no metric model of this size is published; choose from "
            f"{', '.join(sorted(sizes))}"
        )
    return min(found, key=lambda model: abs((model.depth.largest or 0.0) - max_depth_m))


def check_metric(path: Path) -> None:
    """Raises InputError for a published file of a relative model: its keys are the same."""
    from depth.files import sha256_file
    from depth.weights.registry import by_sha256, known_files

    named = next((row for row in known_files() if row.local_name == path.name), None)
    published = (by_sha256(sha256_file(path)) if path.is_file() else None) or named
    row = models().get(published.model) if published else None
    if row is not None and row.kind == RELATIVE_INVERSE:
        raise InputError(
            f"{path}: the weights of {row.name}, whose depth is relative and has no metres; give "
            "those of a metric model, leave --load-from out, or measure: inference.py --fit, then "
            "main.py export DEPTH.json --image IMAGE --to points.ply"
        )
