"""Upstream's run.py: the same flags, the same pictures, several times faster on a CPU."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Optional

import typer

from compile.errors import CompileError
from depth.command import choice_option, command_line, guarded, path_option
from depth.family import RELATIVE_INVERSE, model_named, models
from serve.errors import ServeError

app = command_line()
_ENCODERS = [name for name, model in models().items() if model.kind == RELATIVE_INVERSE]
_IMG_PATH = path_option(
    ..., "An image, a folder of images, or a .txt file with a path per line.", "--img-path", "-i"
)
_OUTDIR = path_option(Path("vis_depth"), "Folder that receives the pictures.", "--outdir", "-o")


@app.command()
def run(
    img_path: Path = _IMG_PATH,
    input_size: Optional[int] = typer.Option(
        None,
        min=1,
        help="Short side of the network's input in px; by default what the model is made for, 518 "
        "for upstream's.",
    ),
    outdir: Path = _OUTDIR,
    encoder: str = choice_option("vitl", _ENCODERS, "The model."),
    pred_only: bool = typer.Option(False, "--pred-only", help="Without the photograph beside it."),
    grayscale: bool = typer.Option(False, "--grayscale", help="Gray instead of colours."),
) -> None:
    """Pictures of depth with upstream's flags. For numbers, use inference.py.

    Weights are read from checkpoints/, where upstream expects them, or from the folder of that
    name beside run.py, or downloaded if their licence allows every use.
    """
    from compile.on_demand import Cache
    from compile.weights import choose
    from serve.engine import Engine
    from serve.folder.cli import shown
    from serve.folder.pictures import PictureJob, run_pictures
    from serve.jobs.stop import Stop
    from serve.library import Library

    model = model_named(encoder)
    stop = Stop()
    weights = choose(model)
    cache = Cache(Path("artifacts"), weights, "openvino", "fp32", img_path, stop.requested)
    library = Library(cache.artifacts(), build=cache.build)
    job = PictureJob(img_path, outdir, pred_only, grayscale)
    rule = replace(model.size, side_px=input_size or model.size.side_px)
    with Engine(library, size_rule=rule) as engine:
        report = shown(outdir, stop, lambda on_entry: run_pictures(engine, job, on_entry, stop))
    raise typer.Exit(report.exit_code)


def main() -> None:
    """Run the command line as run.py."""
    guarded(app, "run.py", CompileError, ServeError)
