"""The files of a prediction with cameras: `export_dir` and `export_format` of upstream."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Union

import numpy as np

from depth.errors import InputError
from depth.maps.result import MODEL, Provenance
from depth.preprocess import REFERENCE
from depth.scenes.export import DESCRIPTION, export_scene, formats_named
from depth.scenes.inputs import Pixels, Place
from depth.scenes.names import names_of
from depth.scenes.options import OWN, SOURCE, Options
from depth.scenes.scene import METRE, Scene
from depth.scenes.scene import Source as SceneSource
from depth_anything_3.inputs import Source, rgb
from depth_anything_3.specs import Prediction

_GAUSSIANS = "this version computes no Gaussians"
_REFUSED = {
    "gs": _GAUSSIANS,
    "gs_ply": _GAUSSIANS,
    "gs_video": _GAUSSIANS,
    "feat_vis": "this version draws no features; `export_feat_layers` puts them into `aux`",
}
_OF_SOURCES = frozenset({"colmap", "nerfstudio"})  # models of the images that the caller has
_FILTERS = {"filter_black_bg": "black", "filter_white_bg": "white"}


@dataclass(frozen=True)
class Export:
    """What to write, and where. The folder has no scene yet."""

    folder: Path
    formats: tuple[str, ...]
    options: Options


@dataclass(frozen=True)
class Made:
    """How a prediction was made."""

    model: str
    weights: str  # file name, or "untrained"
    weights_sha256: str
    steps: tuple[str, ...]
    scaled: bool  # to the caller's cameras, whose unit nobody knows


def export_asked(
    folder: Union[str, Path], text: str, options: Options, more: Mapping[str, Any]
) -> Export:
    """An export as the caller asks for it, refused before any work is done.

    text     formats joined by `-`
    more     {"glb": {"filter_black_bg": ..., "filter_white_bg": ...}}

    Files have the size of the prediction. With no format but `colmap` and `nerfstudio`, they have
    the size of the source images. Raises InputError for a format or option that is not done, and
    for a folder that has a scene already.
    """
    for name in text.split("-"):
        if name in _REFUSED:
            raise InputError(f"export_format {name!r}: not done, since {_REFUSED[name]}")
    formats = formats_named(text)
    where = Path(folder)
    if os.path.lexists(where / DESCRIPTION):
        raise InputError(
            f"export_dir {where}: has a scene already, and nothing is overwritten; name another "
            "folder"
        )
    size = SOURCE if _OF_SOURCES.issuperset(formats) else OWN
    return Export(where, formats, replace(options, size=size, **_filters(more)))


def _filters(more: Mapping[str, Any]) -> dict[str, Any]:
    found = {}
    for name, arguments in more.items():
        for argument, value in arguments.items():
            if name != "glb" or argument not in _FILTERS:
                raise InputError(
                    f"export_kwargs {name!r}: {argument!r} is not done; of 'glb' there are "
                    f"{', '.join(_FILTERS)}"
                )
            found[_FILTERS[argument]] = not value
    return found


def export_prediction(
    prediction: Prediction,
    images: Sequence[Source],
    places: Sequence[Place],
    made: Made,
    export: Export,
) -> list[Path]:
    """Write a prediction with cameras; returns the files.

    images, places  what the prediction was made of, one per view

    Raises InputError for a scene that a format cannot hold, or files that are there already;
    DepthFileError if the disk refuses.
    """
    scene = scene_of(prediction, images, places, made)
    return export_scene(scene, export.folder, export.formats, export.options)


def scene_of(
    prediction: Prediction, images: Sequence[Source], places: Sequence[Place], made: Made
) -> Scene:
    """The same as a scene. Raises InputError for a prediction without cameras."""
    if prediction.extrinsics is None or prediction.intrinsics is None:
        raise InputError(f"{made.model} gives no cameras, which a scene needs")
    height, width = prediction.depth.shape[1:]
    provenance = Provenance(
        model=made.model,
        weights=made.weights,
        weights_sha256=made.weights_sha256,
        artifact="",
        target="eager",
        precision="fp32",
        preprocess_mode=REFERENCE,
        shape_policy="exact",
        model_height_px=height,
        model_width_px=width,
        output_size=MODEL,
        steps=made.steps,
    )
    return Scene(
        depth=prediction.depth,
        extrinsics=prediction.extrinsics[:, :3].astype(np.float64),
        intrinsics=prediction.intrinsics.astype(np.float64),
        names=names_of([_path(image) for image in images]),
        provenance=provenance,
        unit=METRE if prediction.is_metric and not made.scaled else None,
        confidence=prediction.conf,
        images=prediction.processed_images,
        sources=tuple(_source(*pair, (height, width)) for pair in zip(images, places)),
    )


def _source(image: Source, place: Place, size: tuple[int, int]) -> SceneSource:
    def load() -> Pixels:
        return rgb(image)

    return SceneSource(place.source, load, place.window(size))


def _path(image: Source) -> str:
    return str(image) if isinstance(image, (str, Path)) else ""
