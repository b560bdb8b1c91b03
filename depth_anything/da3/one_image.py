"""One image by a model that knows no cameras: a scene of one view, with a lens given or assumed."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Optional

import numpy as np

from depth.errors import InputError
from depth.exports.view import view_of
from depth.family import FOCAL_NORMALISED
from depth.images.read import read_image
from depth.scenes.names import names_of
from depth.scenes.scene import Scene
from depth.scenes.single import scene_of
from depth_anything.da3.models import Chosen
from depth_anything.da3.options import EAGER, SceneOptions


def scene_of_image(
    options: SceneOptions, chosen: Chosen, path: Path
) -> tuple[Scene, Optional[str]]:
    """The scene, and what a user should know of its camera.

    The lens is what the options say, or the image's EXIF data, or an assumed angle of view.
    Programs are compiled when first needed. Raises InputError, for an image ImageError, and
    BuildError if no program can be made.
    """
    from depth_anything.model_pipeline import DepthPipeline

    target, focal = options.runs_on, options.focal()
    if target == EAGER:
        raise InputError(f"--target {EAGER}: {chosen.name} runs compiled only; leave it out")
    source = read_image(path)
    size = source.header.height_px, source.header.width_px
    made: dict[str, Any] = {}
    if not chosen.artifact:
        made = {"checkpoint": chosen.weights, "target": target, "precision": options.precision}
    with DepthPipeline(
        str(chosen.weights.resolve()) if chosen.artifact else chosen.name,
        folder=options.artifacts,
        input_size=None if chosen.artifact else options.process_res,
        focal_px=focal.focal_px,
        fov_deg=focal.fov_deg,
        **made,
    ) as pipeline:
        result = pipeline(path)
    view = view_of(result, focal, source.header.focal_px, size)
    said = None
    if view.assumed:
        metres = "; without it, depth has no unit" if result.depth.kind == FOCAL_NORMALISED else ""
        said = (
            f"an angle of view of {view.horizontal_deg:g} degrees is assumed: give --fov-deg or "
            f"--focal-px{metres}"
        )
    rgb = np.ascontiguousarray(source.pixels[..., ::-1])
    return scene_of(result, view, names_of([str(path)])[0], rgb), said


def check_one(chosen: Chosen, count: int) -> None:
    """Raise InputError for several images: they would share no space."""
    if count > 1:
        raise InputError(
            f"{chosen.name} knows one image at a time, and here are {count}: take a model of "
            "several views, such as --model da3-small, or `python main.py inference --model "
            f"{chosen.name}` for depth files of each image"
        )
