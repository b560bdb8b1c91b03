"""Upstream's run.py: the same flags, the same pictures, several times faster on a CPU."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

import typer

from compile.errors import CompileError
from depth.command import command_line, guarded, path_option
from depth_anything.upstream.options import ENCODER, GRAYSCALE, INPUT_SIZE, pred_only
from serve.errors import ServeError

app = command_line()
_IMG_PATH = path_option(
    ..., "An image, a folder of images, or a .txt file with a path per line.", "--img-path", "-i"
)
_OUTDIR = path_option(Path("vis_depth"), "Folder that receives the pictures.", "--outdir", "-o")
_PRED_ONLY = pred_only("photograph")


@app.command()
def run(
    img_path: Path = _IMG_PATH,
    input_size: Optional[int] = INPUT_SIZE,
    outdir: Path = _OUTDIR,
    encoder: str = ENCODER,
    pred_only: bool = _PRED_ONLY,
    grayscale: bool = GRAYSCALE,
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
