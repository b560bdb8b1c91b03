"""One scene through a network of any number of views, as a `Prediction`."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Optional

import numpy as np
import torch

from depth.errors import InputError
from depth.maps.result import FloatArray
from depth.steps.alignment import ROUNDS, aligned, moved
from depth.steps.cameras import Cameras, given_cameras, normalised
from depth.steps.gaussians import Gaussians, gaussians_of, pose_scale
from depth.steps.ray_pose import DEFAULT as RAY_POSE_STEP
from depth.steps.reference_view import SADDLE_BALANCED
from depth.steps.views import METRES_STEP, Views, metric_views, posed_by_rays
from depth_anything_3.anyview.folder import AnyView
from depth_anything_3.anyview.stages import metric_of, numbers_of, views_of
from depth_anything_3.features import Watched
from depth_anything_3.inputs import Inputs, shown
from depth_anything_3.specs import Gaussians as Record
from depth_anything_3.specs import Prediction

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Wish:
    """What a caller may choose of a scene."""

    blocks: Sequence[int] = ()  # whose features are wanted
    ray_pose: bool = False  # cameras from rays
    strategy: str = SADDLE_BALANCED  # for the reference view
    gaussians: bool = False


@dataclass(frozen=True, eq=False)
class Seen:
    """What the network says, and features by name, [S,h,w,C] each.

    Gaussians are in the network's own world, also where the views are in metres.
    """

    views: Views
    features: dict[str, FloatArray]
    gaussians: Optional[Gaussians] = None
    cameras: Optional[FloatArray] = None  # of the views, in the world of the Gaussians


def seen(model: AnyView, images: FloatArray, given: Optional[Cameras], wish: Wish) -> Seen:
    """The scene of images [S,3,H,W]. Raises InputError for what does not fit."""
    size = int(images.shape[2]), int(images.shape[3])
    if wish.gaussians:
        model.network.gaussian_stage(size)  # refused before the network runs
    network = Watched(model.network, wish.blocks, wish.gaussians)
    views = views_of(
        network.as_network(),
        images,
        given and given.extrinsics,
        given and given.intrinsics,
        wish.strategy,
        rays=wish.ray_pose,
    )
    if wish.ray_pose:
        views = posed_by_rays(views)
    gaussians = cameras = None
    if wish.gaussians:
        gaussians, cameras = _gaussians(model, network.of_head, images, views, given)
    if model.metric is not None:
        views = metric_views(views, metric_of(model.metric), images)
    features = network.features(size, len(images), views.reference)
    return Seen(views, features, gaussians, cameras)


def _gaussians(
    model: AnyView,
    features: list[torch.Tensor],
    images: FloatArray,
    views: Views,
    given: Optional[Cameras],
) -> tuple[Gaussians, FloatArray]:
    """And the cameras of the views in their world."""
    raw, opacities = numbers_of(model.network, features, images)
    scale = 1.0 if given is None else pose_scale(views.extrinsics, normalised(given.extrinsics))
    cameras = Cameras(views.extrinsics, views.intrinsics)
    placed = views.extrinsics.copy()
    placed[:, :, 3] *= scale
    return gaussians_of(raw, opacities, views.depth, cameras, scale), placed


def cameras_of(extrinsics: Any, intrinsics: Any, inputs: Inputs) -> Optional[Cameras]:
    """Cameras that the caller gives in px of the source images, in px of the inputs.

    None without extrinsics; then intrinsics are ignored, as upstream does, and the log says so.
    Raises InputError for extrinsics without intrinsics, and cameras that are not as said.
    """
    if extrinsics is None:
        if intrinsics is not None:
            logger.warning("intrinsics without extrinsics are ignored: the network takes both")
        return None
    check_pair(extrinsics, intrinsics)
    given = given_cameras(extrinsics, intrinsics, len(inputs.places))
    pairs = zip(inputs.places, given.intrinsics)
    lenses = np.stack([place.lens(lens.astype(np.float64)) for place, lens in pairs])
    return Cameras(given.extrinsics, lenses.astype(np.float32))


def check_pair(extrinsics: Any, intrinsics: Any) -> None:
    """Raise InputError for extrinsics without intrinsics."""
    if extrinsics is not None and intrinsics is None:
        raise InputError("extrinsics without intrinsics: the network needs both, or none")


def prediction_of(found: Seen, inputs: Inputs) -> Prediction:
    """The record that a caller gets, in the scale of the network or in metres."""
    views = found.views
    return Prediction(
        views.depth,
        is_metric=int(views.scale is not None),
        conf=views.confidence,
        extrinsics=views.extrinsics,
        intrinsics=views.intrinsics,
        processed_images=shown(inputs.images),
        aux=dict(found.features),
        scale_factor=views.scale,
        gaussians=None if found.gaussians is None else tensors_of([found]),
    )


def tensors_of(scenes: Sequence[Seen], device: Optional[torch.device] = None) -> Record:
    """Gaussians of B scenes of as many views as upstream's record: tensors [B,G,...]."""
    names = [field.name for field in fields(Gaussians)]
    arrays = {n: np.stack([getattr(scene.gaussians, n) for scene in scenes]) for n in names}
    cameras = scenes[0].cameras if len(scenes) == 1 else None
    return Record(**{n: torch.from_numpy(a).to(device) for n, a in arrays.items()}, cameras=cameras)


def align(prediction: Prediction, given: Cameras, to_given: bool) -> None:
    """Put the given cameras into a prediction, which then has one scale again.

    to_given  True: depth is scaled to the given cameras, which stay as they are. False: depth stays
              as it is, and the given cameras are moved: extrinsics [S,4,4]
    """
    predicted = prediction.extrinsics
    if predicted is None or not np.isfinite(predicted).all():
        raise InputError("predicted cameras are not finite: the weights or images are damaged")
    found = aligned(predicted, given.extrinsics)
    prediction.intrinsics = given.intrinsics
    if to_given:
        prediction.extrinsics = given.extrinsics
        prediction.depth = (prediction.depth / found.scale).astype(np.float32)
    else:
        few = len(given.extrinsics) < ROUNDS.from_views
        dtype = np.float64 if few else np.float32  # as upstream
        prediction.extrinsics = moved(found, given.extrinsics).astype(dtype)


def steps_of(model: AnyView, wish: Wish, posed: bool) -> tuple[str, ...]:
    """The host steps between and after the networks, for the provenance of files."""
    steps = []
    if wish.ray_pose:
        steps.append(f"ray_pose(seed={RAY_POSE_STEP.seed})")
    if model.metric is not None:
        steps.append(f"metric_scale(seed={METRES_STEP.seed})")
    if posed:
        steps.append("align_to_given_cameras")
    return tuple(steps)


def outputs_of(scenes: Sequence[Seen], device: torch.device) -> dict[str, Any]:
    """Upstream's outputs of `forward`, for B scenes: tensors [B,S,...] by name.

    Raises InputError for several scenes in metres, which have a scale each.
    """
    views = [found.views for found in scenes]
    scale = views[0].scale
    if scale is not None and len(views) > 1:
        raise InputError(f"{len(views)} scenes in metres: this model takes 1 scene at a time")

    def stacked(arrays: Sequence[FloatArray]) -> torch.Tensor:
        return torch.from_numpy(np.stack(arrays)).to(device)

    found: dict[str, Any] = {
        "depth": stacked([v.depth for v in views]),
        "depth_conf": stacked([v.confidence for v in views]),
        "extrinsics": stacked([v.extrinsics for v in views]),
        "intrinsics": stacked([v.intrinsics for v in views]),
        "aux": {n: stacked([s.features[n] for s in scenes]) for n in scenes[0].features},
    }
    if scale is not None:
        found.update(is_metric=1, scale_factor=scale)
    if all(scene.gaussians is not None for scene in scenes):
        found["gaussians"] = tensors_of(scenes, device)
    return found
