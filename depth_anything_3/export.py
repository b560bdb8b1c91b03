"""The files of a prediction: `export_dir` and `export_format` of upstream."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any, Optional, Union

import numpy as np

from depth.errors import InputError
from depth.maps.result import MODEL, Provenance
from depth.preprocess import REFERENCE
from depth.scenes.export import DESCRIPTION, export_scene, formats_named
from depth.scenes.inputs import Place
from depth.scenes.names import names_of
from depth.scenes.options import Options
from depth.scenes.scene import METRE, Scene
from depth.scenes.scene import Source as SceneSource
from depth.sizes import Size
from depth.steps.alignment import Similarity, aligned
from depth.steps.gaussians import Gaussians, moved
from depth_anything_3.inputs import Source, rgb
from depth_anything_3.specs import Prediction

_GAUSSIANS = ("gs_ply", "gs_video")  # formats that need them
# Of export_kwargs: arguments of formats, and how they become our options.
_ARGUMENTS: dict[tuple[str, str], Callable[[Any, int], dict[str, Any]]] = {
    ("glb", "filter_black_bg"): lambda value, _views: {"black": not value},
    ("glb", "filter_white_bg"): lambda value, _views: {"white": not value},
    ("feat_vis", "fps"): lambda value, _views: {"fps": value},
    ("gs_ply", "gs_views_interval"): lambda value, views: {
        "every": max(views // _SOME_VIEWS, 1) if value is None else value
    },
}
_SOME_VIEWS = 12
_FEATURES = "feat_layer_"  # of `aux`


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
    folder: Union[str, Path], text: str, options: Options, more: Mapping[str, Any], views: int = 1
) -> Export:
    """An export as the caller asks for it, refused before any work is done.

    text   formats joined by `-`
    more   {"glb": {"filter_black_bg": ..., "filter_white_bg": ...}, "feat_vis": {"fps": ...},
           "gs_ply": {"gs_views_interval": ...}}
    views  of the scene

    Raises InputError for a format or option that is not done, and for a folder that has a scene
    already.
    """
    formats = formats_named(text)
    where = Path(folder)
    if os.path.lexists(where / DESCRIPTION):
        raise InputError(
            f"export_dir {where}: has a scene already, and nothing is overwritten; name another "
            "folder"
        )
    return Export(where, formats, replace(options, **_arguments(more, views)))


def check_wish(export: Export, gaussians: bool, features: bool) -> None:
    """Raise InputError for formats of what the caller did not ask for."""
    wanted = [name for name in _GAUSSIANS if name in export.formats]
    if wanted and not gaussians:
        raise InputError(f"export_format {wanted[0]!r} needs infer_gs=True")
    if "feat_vis" in export.formats and not features:
        raise InputError("export_format 'feat_vis' needs export_feat_layers, numbers of blocks")


def check_path(export: Export, *of_caller: Any) -> None:
    """Raise InputError for a film on a path that the caller gives: it has a path of its own."""
    if "gs_video" in export.formats and any(each is not None for each in of_caller):
        raise InputError("render_exts, render_ixts, render_hw: not done for gs_video; leave out")


def _arguments(more: Mapping[str, Any], views: int) -> dict[str, Any]:
    found = {}
    for name, arguments in more.items():
        for argument, value in arguments.items():
            if (name, argument) not in _ARGUMENTS:
                known = ", ".join(f"{one}: {other}" for one, other in _ARGUMENTS)
                raise InputError(
                    f"export_kwargs {name!r}: {argument!r} is not done; there are {known}"
                )
            found.update(_ARGUMENTS[name, argument](value, views))
    return found


def write(scene: Scene, export: Export) -> list[Path]:
    """Write a scene; returns the files.

    Raises InputError for a scene that a format cannot hold, or files that are there already;
    DepthFileError if the disk refuses.
    """
    return export_scene(scene, export.folder, export.formats, export.options)


def scene_of(
    prediction: Prediction, images: Sequence[Source], places: Sequence[Place], made: Made
) -> Scene:
    """A prediction with cameras as a scene. Raises InputError for a prediction without cameras.

    images, places  what the prediction was made of, one per view
    """
    if prediction.extrinsics is None or prediction.intrinsics is None:
        raise InputError(f"{made.model} gives no cameras, which a scene needs")
    height, width = prediction.depth.shape[1:]
    return Scene(
        depth=prediction.depth,
        extrinsics=prediction.extrinsics[:, :3].astype(np.float64),
        intrinsics=prediction.intrinsics.astype(np.float64),
        names=view_names(images),
        provenance=provenance_of(made, (height, width)),
        unit=METRE if prediction.is_metric and not made.scaled else None,
        confidence=prediction.conf,
        images=prediction.processed_images,
        sources=sources_of(images, places, (height, width)),
        features={n: v for n, v in prediction.aux.items() if n.startswith(_FEATURES)},
        gaussians=_placed(prediction),
    )


def provenance_of(made: Made, size: Size) -> Provenance:
    """Of depth at the size (height, width) px of the network's input."""
    return Provenance(
        model=made.model,
        weights=made.weights,
        weights_sha256=made.weights_sha256,
        artifact="",
        target="eager",
        precision="fp32",
        preprocess_mode=REFERENCE,
        shape_policy="exact",
        model_height_px=size[0],
        model_width_px=size[1],
        output_size=MODEL,
        steps=made.steps,
    )


def sources_of(
    images: Sequence[Source], places: Sequence[Place], size: Size
) -> tuple[SceneSource, ...]:
    """The images that depth of this size was made of."""
    return tuple(
        SceneSource(place.source, partial(rgb, image), place.window(size))
        for image, place in zip(images, places)
    )


def _placed(prediction: Prediction) -> Optional[Gaussians]:
    """The Gaussians in the space of the prediction's cameras, which may be metres, or given."""
    record = prediction.gaussians
    if record is None or record.cameras is None or prediction.extrinsics is None:
        return None
    found = Gaussians(*(getattr(record, f.name)[0].cpu().numpy() for f in fields(Gaussians)))
    scale, own = prediction.scale_factor or 1.0, record.cameras.copy()
    own[:, :, 3] *= np.float32(scale)
    cameras = prediction.extrinsics[:, :3].astype(np.float32)
    found = moved(found, Similarity(np.eye(3), np.zeros(3), scale))
    if np.array_equal(cameras[:, :, :3], own[:, :, :3]):
        return found
    return moved(found, aligned(cameras, own))


def view_names(images: Sequence[Source]) -> tuple[str, ...]:
    """A name for each view, of its file."""
    return names_of([str(image) if isinstance(image, (str, Path)) else "" for image in images])
