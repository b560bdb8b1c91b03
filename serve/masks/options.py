"""The options of `masks`, listed once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Optional

import typer

from depth.command import choice_option, path_option, takes_options

if TYPE_CHECKING:
    from serve.masks.request import MaskJob

_LAYOUTS = ("colmap", "metashape", "realitycapture", "odm", "nerfstudio")


@dataclass(frozen=True)
class MaskOptions:
    """What a user asks of a job of masks. The defaults are typer's: a command gives every value."""

    images: Path = path_option(..., "Folder of images.", "--images", "--input", "-i")
    output: Path = path_option(
        ..., "Folder that receives the masks, with the same folders inside.", "--output", "-o"
    )
    layout: str = choice_option(
        "colmap",
        _LAYOUTS,
        "How masks are named: b.jpg.png, b_mask.png, b.jpg.mask.png, b_mask.png or b.png.",
        "--layout",
        "--mask-layout",
    )
    artifact: Optional[Path] = path_option(
        None,
        "Mask instances: an artifact of `python -m compile import FILE.onnx --as instance-masks`.",
    )
    classes: list[str] = typer.Option(
        [], "--class", help="A class to mask; by default those of the artifact. Repeatable."
    )
    confidence: Optional[float] = typer.Option(
        None, help="Score above which an instance counts, 0 to 1; by default the artifact's, 0.25."
    )
    depth: Optional[Path] = path_option(
        None, "Depth of these images: the output folder of inference.py or of `serve folder`."
    )
    depth_artifact: Optional[Path] = path_option(
        None, "Make depth while masks are made, by an artifact of depth; no depth file is kept."
    )
    near: Optional[float] = typer.Option(
        None, help="Mask what is nearer, in metres; depth has to be in metres."
    )
    far: Optional[float] = typer.Option(None, help="Mask what is farther, in metres.")
    nearest: Optional[str] = typer.Option(
        None, metavar="PERCENT", help="Mask this share of the pixels, such as 5%: the nearest."
    )
    farthest: Optional[str] = typer.Option(
        None, metavar="PERCENT", help="Mask this share of the pixels, such as 20%: the farthest."
    )
    sky: bool = typer.Option(False, "--sky", help="Mask the sky, by a model that knows it.")
    sky_threshold: float = typer.Option(0.3, help="Sky is where its map has at least this.")
    min_confidence: Optional[float] = typer.Option(
        None, help="Mask what the depth model is less sure of, in the unit of its confidence."
    )
    dilate: float = typer.Option(
        0.0, help="Let masked parts grow by this many percent of the longer side, 0 to 2."
    )
    fill_holes: bool = typer.Option(
        False, "--fill-holes", help="Also mask what masked parts enclose."
    )
    invert: bool = typer.Option(False, "--invert", help="255 where to ignore, 0 where to keep.")
    upright: bool = typer.Option(
        False,
        "--upright",
        help="Turn masks by the EXIF orientation, for a program that turns its images. By default "
        "pixels lie as the file stores them.",
    )
    preview: bool = typer.Option(
        True, "--preview/--no-preview", help="Also write index.html with tinted pictures."
    )
    replace: bool = typer.Option(
        False, "--replace", help="Write over masks that this command did not write."
    )
    allow_failed_parity: bool = typer.Option(
        False, "--allow-failed-parity", help="Use an artifact whose numbers are known to be wrong."
    )
    fail_fast: bool = typer.Option(False, "--fail-fast", help="Stop at the first failure.")
    dry_run: bool = typer.Option(
        False, "--dry-run", help="Only print what would be done; write nothing."
    )

    def job(self) -> MaskJob:
        """The job. Raises InputError for wrong values, and as `InstanceNetwork`."""
        from depth.masks.region import Shaping
        from depth.masks.rules import DepthRules, share_of
        from serve.masks.request import MaskJob
        from serve.masks.running import depth_of, network_of

        nearest, farthest = (
            None if text is None else share_of(text) for text in (self.nearest, self.farthest)
        )
        rules = DepthRules(
            *(self.near, self.far, nearest, farthest),
            *(self.sky, self.sky_threshold, self.min_confidence),
        )
        return MaskJob(
            self.images,
            self.output,
            self.layout,
            rules,
            Shaping(self.dilate, self.fill_holes, self.invert),
            depth_of(self.depth, self.depth_artifact, self.allow_failed_parity),
            network_of(self.artifact, self.classes, self.confidence, self.allow_failed_parity),
            upright=self.upright,
            preview=self.preview,
            replace=self.replace,
            fail_fast=self.fail_fast,
            dry_run=self.dry_run,
        )


takes_mask_options = takes_options(MaskOptions)
