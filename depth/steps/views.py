"""From the stages of a network to a scene: the host work between the stages and after them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Optional

import numpy as np

from depth.artifact.steps import CamerasFromRays, ScaleToMetres
from depth.errors import InputError
from depth.maps.result import FloatArray
from depth.steps.cameras import (
    CODE,
    Cameras,
    cameras_of_codes,
    codes_of_cameras,
    given_cameras,
    normalised,
)
from depth.steps.metric_scale import in_metres
from depth.steps.ray_pose import DEFAULT as RAY_POSE_STEP
from depth.steps.ray_pose import cameras_of_rays
from depth.steps.reference_view import (
    SADDLE_BALANCED,
    check_strategy,
    order_of_views,
    places_of_views,
    reference_view,
)
from depth.steps.stages import Prefixes, Stages

METRES_STEP = ScaleToMetres()

# Normalised images [V,3,H,W] to depth and sky [V,H,W], by a network that knows metres.
Metric = Callable[[FloatArray], tuple[FloatArray, FloatArray]]


@dataclass(frozen=True)
class Rays:
    """For each cell of an 8h x 8w grid a line in the world, in the scale of the scene."""

    rays: FloatArray  # [S,8h,8w,6]: direction, then origin
    confidence: FloatArray  # [S,8h,8w], over 1


@dataclass(frozen=True)
class Views:
    """What the network says of a scene of S views, at the size of its input.

    Depth and positions of cameras share one scale: no unit, or metres where `scale` says so. With
    given cameras it is the scale of `depth.steps.cameras.normalised`.
    """

    depth: FloatArray  # [S,H,W], larger is farther
    confidence: FloatArray  # [S,H,W], over 1
    extrinsics: FloatArray  # [S,3,4], world to camera
    intrinsics: FloatArray  # [S,3,3], px
    reference: int  # the view that the network measured the others against
    rays: Optional[Rays] = None
    scale: Optional[float] = None  # metres per unit before; None: not in metres


def views_after(
    stages: Stages,
    prefixes: Prefixes,
    given: Optional[Cameras] = None,
    strategy: str = SADDLE_BALANCED,
    rays: bool = False,
) -> Views:
    """The scene of views whose first stage is done.

    prefixes  of the views of the scene, in the caller's order
    given     the cameras, if they are known, px of the network's input
    strategy  for the reference view, where cameras are not known; see depth/steps/reference_view.py
    rays      also give rays

    Raises InputError for cameras or a strategy that are not as said.
    """
    check_strategy(strategy)
    views = len(prefixes)
    reference = 0  # of given cameras, the first is the world
    codes = np.zeros((views, CODE), np.float32)
    if given is None:
        reference = reference_view(prefixes.class_tokens, strategy)
    else:
        placed = Cameras(normalised(given.extrinsics), given.intrinsics)
        codes = codes_of_cameras(placed, stages.size)
    if len(codes) != views:
        raise InputError(f"{len(codes)} cameras for {views} views: give one for each, or none")
    order = order_of_views(views, reference)
    camera_tokens = stages.cameras(codes, given is not None)
    features, found = stages.trunk(prefixes.tokens[order], camera_tokens)
    places = places_of_views(order)
    cameras = cameras_of_codes(found[places], stages.size)
    maps = stages.head(features[places], rays)
    return Views(
        maps[0],
        maps[1],
        cameras.extrinsics,
        cameras.intrinsics,
        reference,
        Rays(maps[2], maps[3]) if rays else None,
    )


def known_cameras(extrinsics: object, intrinsics: object, views: int) -> Optional[Cameras]:
    """Cameras of every view, as `given_cameras` takes them; None without any.

    Raises InputError for extrinsics without intrinsics, the reverse, and cameras that are not as
    said.
    """
    if extrinsics is None and intrinsics is None:
        return None
    if extrinsics is None or intrinsics is None:
        missing = "extrinsics" if extrinsics is None else "intrinsics"
        raise InputError(f"cameras without {missing}: the network needs both, or none")
    return given_cameras(extrinsics, intrinsics, views)


def posed_by_rays(views: Views, step: CamerasFromRays = RAY_POSE_STEP) -> Views:
    """The scene with cameras made from its rays, in place of those that the network predicts.

    Slower, and better in most of upstream's comparisons. Raises InputError without rays, or if
    the rays of a view agree with no camera.
    """
    if views.rays is None:
        raise InputError("no rays: ask for them with rays=True")
    size = int(views.depth.shape[1]), int(views.depth.shape[2])
    found = cameras_of_rays(views.rays.rays, views.rays.confidence, size, step)
    return replace(views, extrinsics=found.extrinsics, intrinsics=found.intrinsics)


def metric_views(
    views: Views, metric: Metric, images: FloatArray, step: ScaleToMetres = METRES_STEP
) -> Views:
    """A scene in metres, by a second network that sees the same images [S,3,H,W].

    The focal lengths are those that the first network predicts. Rays stay in the first scale.
    Raises InputError if too little of the scene is ground.
    """
    focal_px = (views.intrinsics[:, 0, 0] + views.intrinsics[:, 1, 1]) / np.float32(2)
    found = in_metres(
        views.depth, views.confidence, views.extrinsics, focal_px, metric(images), step
    )
    return replace(
        views,
        depth=found.depth,
        confidence=found.confidence,
        extrinsics=found.extrinsics,
        scale=found.scale,
    )
