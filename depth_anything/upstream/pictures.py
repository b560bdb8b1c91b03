"""Upstream's run.py: the same flags, the same pictures, several times faster on a CPU."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

import typer

from compile.errors import CompileError
from depth.command import choice_option, command_line, guarded, path_option
from depth.family import RELATIVE_INVERSE, models
from serve.errors import ServeError

app = command_line()
ENCODERS = [name for name, model in models().items() if model.kind == RELATIVE_INVERSE]
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
    encoder: str = choice_option("vitl", ENCODERS, "The model."),
    pred_only: bool = typer.Option(False, "--pred-only", help="Without the photograph beside it."),
    grayscale: bool = typer.Option(False, "--grayscale", help="Gray instead of colours."),
) -> None:
    """Pictures of depth with upstream's flags. For numbers, use inference.py.

    Weights are read from checkpoints/, where upstream expects them, or from the folder of that
    name beside run.py, or downloaded if their licence allows every use.
    """
    from depth_anything.upstream.flat import run_job
    from serve.folder.flat.pictures import PictureJob

    job = PictureJob(img_path, outdir, pred_only, grayscale)
    raise typer.Exit(run_job(job, encoder, None, input_size))


def main() -> None:
    """Run the command line as run.py."""
    guarded(app, "run.py", CompileError, ServeError)
