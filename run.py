"""Upstream's run.py: the same flags, the same pictures, several times faster on a CPU."""

from __future__ import annotations

from pathlib import Path

import typer

from compile.errors import CompileError
from depth.command import command_line, guarded
from depth.sizes import SHORT_SIDE_PX
from depth_anything_v2.config import CONFIGS
from serve.errors import ServeError

app = command_line()


@app.command()
def run(
    img_path: Path = typer.Option(
        ..., help="An image, a folder of images, or a .txt file with one path per line."
    ),
    input_size: int = typer.Option(SHORT_SIDE_PX, help="Short side of the network's input in px."),
    outdir: Path = typer.Option(Path("vis_depth"), help="Folder that receives the pictures."),
    encoder: str = typer.Option("vitl", help=f"One of {', '.join(CONFIGS)}."),
    pred_only: bool = typer.Option(False, "--pred-only", help="Without the photograph beside it."),
    grayscale: bool = typer.Option(False, "--grayscale", help="Gray instead of colours."),
) -> None:
    """Pictures of depth with upstream's flags. For numbers, use inference.py.

    Weights are read from checkpoints/, where upstream expects them, or downloaded if their licence
    allows every use.
    """
    from compile.on_demand import Cache
    from compile.weights import choose
    from depth_anything_v2.config import model_named
    from serve.engine import Engine
    from serve.folder.cli import shown
    from serve.folder.pictures import PictureJob, run_pictures
    from serve.library import Library

    weights = choose(model_named(encoder))
    cache = Cache(Path("artifacts"), weights, "openvino", "fp32", images=img_path)
    library = Library(cache.artifacts(), build=cache.build)
    job = PictureJob(img_path, outdir, pred_only, grayscale)
    with Engine(library, short_side_px=input_size) as engine:
        report = shown(lambda on_entry, stop: run_pictures(engine, job, on_entry, stop))
    raise typer.Exit(report.exit_code)


if __name__ == "__main__":
    guarded(app, "run.py", CompileError, ServeError)
