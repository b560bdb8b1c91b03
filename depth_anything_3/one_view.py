"""The depth of images that have nothing to do with each other, as a scene: models of one view."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Optional

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from depth.artifact.steps import NAMES, MetresFromFocal
from depth.errors import InputError
from depth.exports.view import ASSUMED_FOV_DEG
from depth.family import FOCAL_NORMALISED
from depth.scenes.inputs import Place
from depth.scenes.scene import METRE, Scene
from depth.steps.cameras import given_cameras
from depth.steps.sky import sky_to_far
from depth_anything_3.export import Export, Made, provenance_of, sources_of, view_names
from depth_anything_3.inputs import Source
from depth_anything_3.mono.config import FAR, FOCAL_DIVISOR, MONO_MODELS
from depth_anything_3.specs import Prediction

WITHOUT_CAMERAS = ("npz", "mini_npz", "depth_vis")  # formats that hold several such images

_AT_ONCE = 8  # images in one run of the network

Doubles = npt.NDArray[np.float64]


def depth_and_sky(network: nn.Module, image: Tensor) -> dict[str, Any]:
    """Network inputs [B,N,3,H,W] to `depth` and `sky` [B,N,H,W]; depth of the sky is set far."""
    views = image.flatten(0, 1)
    parts = [network(views[i : i + _AT_ONCE]) for i in range(0, len(views), _AT_ONCE)]
    shape = (*image.shape[:2], *image.shape[3:])
    depth, sky = (torch.cat(maps).reshape(shape) for maps in zip(*parts))
    far = sky_to_far(depth.cpu().numpy(), sky.cpu().numpy(), FAR)
    return {"depth": torch.from_numpy(far).to(depth.device), "sky": sky, "aux": {}}


def check_views(export: Export, model: str, count: int) -> None:
    """Raise InputError for formats that need cameras, which several images do not have."""
    wrong = [name for name in export.formats if name not in WITHOUT_CAMERAS]
    if wrong and count > 1:
        raise InputError(
            f"export_format {wrong[0]!r} needs cameras in one space, which {model} does not give "
            f"for {count} images: give one image, or take {', '.join(WITHOUT_CAMERAS)}"
        )


@dataclass(frozen=True, eq=False)
class Lenses:
    """Intrinsics [N,3,3] px of the network's inputs; assumed, or as the caller gives them."""

    intrinsics: Doubles
    assumed: bool


def lenses_of(intrinsics: Any, places: Sequence[Place]) -> Lenses:
    """Of what the caller gives, px of the images; None: an angle of view is assumed.

    Raises InputError for intrinsics that are not as said.
    """
    sources = [_assumed(place) for place in places]
    if intrinsics is not None:
        count = len(places)
        given = given_cameras(np.tile(np.eye(3, 4), (count, 1, 1)), intrinsics, count)
        sources = list(given.intrinsics.astype(np.float64))
    found = np.stack([place.lens(lens) for place, lens in zip(places, sources)])
    return Lenses(found, intrinsics is None)


def scene_of_each(
    prediction: Prediction,
    images: Sequence[Source],
    places: Sequence[Place],
    lenses: Lenses,
    made: Made,
) -> Scene:
    """Each image by itself: its camera is the world.

    Depth that needs a focal length becomes metres, unless the angle of view is assumed.
    """
    count, (height, width) = len(images), prediction.depth.shape[1:]
    depth, unit, steps = prediction.depth, None, [f"sky_to_far(seed={FAR.seed})"]
    if not lenses.assumed and MONO_MODELS[made.model].outputs[0].kind == FOCAL_NORMALISED:
        focal_px = lenses.intrinsics[:, (0, 1), (0, 1)].mean(axis=1)
        depth = depth * (focal_px / FOCAL_DIVISOR).astype(np.float32)[:, np.newaxis, np.newaxis]
        unit = METRE
        steps.append(NAMES[MetresFromFocal])
    return Scene(
        depth=depth,
        extrinsics=np.tile(np.eye(3, 4), (count, 1, 1)),
        intrinsics=lenses.intrinsics,
        names=view_names(images),
        provenance=provenance_of(replace(made, steps=tuple(steps)), (height, width)),
        unit=unit,
        sky=prediction.sky,
        images=prediction.processed_images,
        sources=sources_of(images, places, (height, width)),
        assumed=_said(count, lenses.assumed),
    )


def _assumed(place: Place) -> Doubles:
    height, width = place.source
    focal = width / 2 / math.tan(math.radians(ASSUMED_FOV_DEG) / 2)
    return np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])


def _said(count: int, lens: bool) -> Optional[str]:
    said = []
    if lens:
        said.append(f"the angle of view: {ASSUMED_FOV_DEG:g} degrees horizontally")
    if count > 1:
        said.append("the places of the cameras: each image is a world of its own")
    return "; ".join(said) or None
