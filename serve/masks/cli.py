"""`python main.py masks`: a mask for every image of a folder, for photogrammetry."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Optional

import typer

from depth.command import choice_option, path_option

if TYPE_CHECKING:
    pass

_IMAGES = path_option(..., "Folder of images.", "--images", "--input", "-i")
_OUTPUT = path_option(
    ..., "Folder that receives the masks, with the same folders inside.", "--output", "-o"
)
_LAYOUT = choice_option(
    "colmap",
    ("colmap", "metashape", "realitycapture", "odm", "nerfstudio"),
    "How masks are named: b.jpg.png, b_mask.png, b.jpg.mask.png, b_mask.png or b.png.",
    "--layout",
    "--mask-layout",
)
_DEPTH = path_option(
    None, "Depth of these images: the output folder of inference.py or of `serve folder`."
)
_NEAR = typer.Option(None, help="Mask what is nearer, in metres; depth has to be in metres.")
_FAR = typer.Option(None, help="Mask what is farther, in metres.")
_NEAREST = typer.Option(None, metavar="PERCENT", help="Mask this share of the pixels: the nearest.")
_FARTHEST = typer.Option(
    None, metavar="PERCENT", help="Mask this share of the pixels, such as 20%: the farthest."
)
_ARTIFACT = path_option(
    None, "Mask instances: an artifact of `python -m compile import FILE.onnx --as instance-masks`."
)
_CLASSES = typer.Option(
    [], "--class", help="A class to mask; by default those of the artifact. Repeatable."
)


def masks(
    images: Path = _IMAGES,
    output: Path = _OUTPUT,
    layout: str = _LAYOUT,
    artifact: Optional[Path] = _ARTIFACT,
    classes: list[str] = _CLASSES,
    confidence: Optional[float] = typer.Option(
        None, help="Score above which an instance counts, 0 to 1; by default the artifact's, 0.25."
    ),
    depth: Optional[Path] = _DEPTH,
    near: Optional[float] = _NEAR,
    far: Optional[float] = _FAR,
    nearest: Optional[str] = _NEAREST,
    farthest: Optional[str] = _FARTHEST,
    sky: bool = typer.Option(False, "--sky", help="Mask the sky, by a model that knows it."),
    sky_threshold: float = typer.Option(0.3, help="Sky is where its map has at least this."),
    min_confidence: Optional[float] = typer.Option(
        None, help="Mask what the depth model is less sure of, in the unit of its confidence."
    ),
    dilate: float = typer.Option(
        0.0, help="Let masked parts grow by this many percent of the longer side, 0 to 2."
    ),
    fill_holes: bool = typer.Option(
        False, "--fill-holes", help="Mask what masked parts enclose too."
    ),
    invert: bool = typer.Option(False, "--invert", help="255 where to ignore, 0 where to keep."),
    upright: bool = typer.Option(
        False,
        "--upright",
        help="Turn masks by the EXIF orientation, for a program that turns its images. By default "
        "pixels lie as the file stores them.",
    ),
    preview: bool = typer.Option(
        True, "--preview/--no-preview", help="Also write index.html with tinted pictures."
    ),
    replace: bool = typer.Option(
        False, "--replace", help="Write over masks that this command did not write."
    ),
    allow_failed_parity: bool = typer.Option(
        False, "--allow-failed-parity", help="Use an artifact whose numbers are known to be wrong."
    ),
    fail_fast: bool = typer.Option(False, "--fail-fast", help="Stop at the first failure."),
    dry_run: bool = typer.Option(
        False, "--dry-run", help="Only print what would be done; write nothing."
    ),
) -> None:
    """Masks for photogrammetry: which pixels of each image count.

    Joins instances of your own network, depth ranges, sky and uncertain depth. A mask has 8 bits
    and one channel, 0 to ignore and 255 to keep, and exactly the size of the image. Every image
    gets a mask, all white where nothing is found.

    \b
    python main.py masks -i photos -o masks --artifact artifacts/NAME --class person
    python main.py masks -i photos -o masks --depth output_depth --farthest 20% --dilate 1

    Run it again for the rest: masks that were made of the same bytes with the same settings stay.
    Exit code 0 all done, 1 failed, 2 usage, 3 some images failed or left.
    """
    from depth.masks.region import Shaping
    from depth.masks.rules import DepthRules, share_of
    from serve.masks.request import MaskJob
    from serve.masks.running import network_of, run
    from serve.masks.stored import StoredDepth

    rules = DepthRules(
        near,
        far,
        share_of(nearest) if nearest else None,
        share_of(farthest) if farthest else None,
        sky,
        sky_threshold,
        min_confidence,
    )
    job = MaskJob(
        images,
        output,
        layout,
        rules,
        Shaping(dilate, fill_holes, invert),
        StoredDepth(depth) if depth else None,
        network_of(artifact, classes, confidence, allow_failed_parity),
        upright,
        preview,
        replace,
        fail_fast,
        dry_run,
    )
    raise typer.Exit(run(job))
