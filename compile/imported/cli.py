"""`python -m compile import`: a user's file of ONNX in, a verified artifact out."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

import typer

from compile.build.request import MAX_PHOTOGRAPHS
from depth.command import choice_option, path_option

_AS = choice_option(..., ("instance-masks",), "What the file gives.", "--as")
_OUT = path_option(Path("artifacts"), "Folder that receives the artifact.", "--out", "-o")
_IMAGES = path_option(
    Path("input_images"), "Folder of photographs: parity uses up to 3 beside its own test images."
)
_NAMES = path_option(
    None, "Text file with the name of each class, one a line, if the file has none."
)


def import_(
    file: Path = typer.Argument(help="The file of ONNX."),
    kind: str = _AS,  # noqa: ARG001 - there is one
    target: str = choice_option("openvino", ("openvino", "onnx"), "What runs it."),
    size: Optional[str] = typer.Option(
        None, help="HEIGHTxWIDTH in px, for a file with open sides; by default its `imgsz`."
    ),
    classes: list[str] = typer.Option(
        [], help="A class that is masked by default; by default all of them. Repeatable."
    ),
    names: Optional[Path] = _NAMES,
    name: Optional[str] = typer.Option(
        None, help="Name of the model; by default from the name of the file."
    ),
    images: Path = _IMAGES,
    force: bool = typer.Option(
        False,
        "--force",
        help="Write the artifact even if parity fails; it says so, and serving refuses it.",
    ),
    out: Path = _OUT,
) -> None:
    """Make an artifact of your own segmentation network.

    Prints its folder. Takes files in the layout of YOLOv8 and YOLO11 segmentation. The saved
    program is compared with the file in ONNX Runtime on test images. If it is over the limit,
    nothing is written and the exit code is 1. The terms of the file's licence are yours to keep.

    \b
    python -m compile import seg.onnx --as instance-masks --classes person
    python main.py masks --images photos -o masks --artifact artifacts/NAME
    """
    from compile.imported.build import Import, import_masks
    from compile.imported.names import read_names
    from compile.parity.inputs import photographs
    from depth.artifact.manifest import read_artifact
    from depth.console import steps
    from depth.sizes import parse_size

    asked = Import(
        file,
        target,
        name,
        read_names(names) if names else None,
        classes,
        photographs(images, MAX_PHOTOGRAPHS),
        force,
        parse_size(size, lambda _: None) if size else None,
    )
    with steps(total=3) as step:
        folder = import_masks(asked, out, step)
    m = read_artifact(folder).manifest
    for change in m.flags[1:]:
        typer.echo(f"{file.name}: made plain first, {change}", err=True)
    licence = m.checkpoint.licence
    typer.echo(f"{file.name}: licence {licence}; its terms are yours to keep", err=True)
    typer.echo(folder)
