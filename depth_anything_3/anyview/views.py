"""From the images of a scene to depth, confidence and cameras: the stages and the host work."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Optional

import numpy as np
import torch
from torch import Tensor

from depth.errors import InputError
from depth.maps.result import FloatArray
from depth.sizes import Size
from depth.steps.cameras import (
    Cameras,
    cameras_of_codes,
    codes_of_cameras,
    given_cameras,
    normalised,
)
from depth.steps.metric_scale import MetricScale, in_metres
from depth.steps.ray_pose import RayPose, cameras_of_rays
from depth.steps.reference_view import (
    SADDLE_BALANCED,
    check_strategy,
    order_of_views,
    places_of_views,
    reference_view,
)
from depth_anything_3.anyview.network import AnyViewNetwork
from depth_anything_3.network import MonoNetwork

_AT_ONCE = 8  # views in one run of a stage that knows one view
METRES_STEP, RAY_POSE_STEP = MetricScale(), RayPose()


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


@dataclass(frozen=True)
class Prefixes:
    """What the first stage says of V views, each for itself: scenes may share them."""

    tokens: Tensor  # [V,N,D]
    class_tokens: Tensor  # [V,D]
    size: Size  # (height, width) px of the images

    def __getitem__(self, views: slice) -> Prefixes:
        return Prefixes(self.tokens[views], self.class_tokens[views], self.size)


@torch.no_grad()
def prefixes(network: AnyViewNetwork, images: FloatArray) -> Prefixes:
    """The first stage of all views [V,3,H,W]. Raises InputError for no images of one size."""
    if images.ndim != 4 or images.shape[1] != 3 or not len(images):
        raise InputError(f"images {images.shape}: expected (views,3,height,width)")
    size = int(images.shape[2]), int(images.shape[3])
    tokens, class_tokens = _in_parts(network.prefix(size), _tensor(images, network))
    return Prefixes(tokens, class_tokens, size)


def views_of(
    network: AnyViewNetwork,
    images: FloatArray,
    extrinsics: object = None,
    intrinsics: object = None,
    strategy: str = SADDLE_BALANCED,
    rays: bool = False,
) -> Views:
    """The scene of images [S,3,H,W], network inputs of one size.

    extrinsics, intrinsics  of every view, if they are known, as `given_cameras` takes them
    strategy  for the reference view, where cameras are not known; see depth/steps/reference_view.py
    rays      also give rays

    Raises InputError for images, cameras or a strategy that are not as said.
    """
    check_strategy(strategy)
    given = _given(extrinsics, intrinsics, len(images))
    return views_after(network, prefixes(network, images), given, strategy, rays)


@torch.no_grad()
def views_after(
    network: AnyViewNetwork,
    seen: Prefixes,
    given: Optional[Cameras] = None,
    strategy: str = SADDLE_BALANCED,
    rays: bool = False,
) -> Views:
    """The scene of views whose first stage is done; otherwise as `views_of`."""
    views, size = len(seen.tokens), seen.size
    reference = 0  # of given cameras, the first is the world
    if given is None:
        reference = reference_view(_array(seen.class_tokens), strategy)
    order = order_of_views(views, reference)
    tokens, camera_tokens = (
        seen.tokens[torch.from_numpy(order)],
        _camera_tokens(network, seen, given),
    )
    features, camera_features = network.trunk(size, views)(tokens[None], camera_tokens)
    places = torch.from_numpy(places_of_views(order))
    cameras = cameras_of_codes(_array(network.camera_decoder(camera_features)[0, places]), size)
    maps = [_array(part) for part in _in_parts(network.head(size, rays), features[0, places])]
    return Views(
        maps[0],
        maps[1],
        cameras.extrinsics,
        cameras.intrinsics,
        reference,
        Rays(maps[2], maps[3]) if rays else None,
    )


def posed_by_rays(views: Views, step: RayPose = RAY_POSE_STEP) -> Views:
    """The scene with cameras made from its rays, in place of those that the network predicts.

    Slower, and better in most of upstream's comparisons. Raises InputError without rays, or if
    the rays of a view agree with no camera.
    """
    if views.rays is None:
        raise InputError("no rays: ask for them with rays=True")
    size = int(views.depth.shape[1]), int(views.depth.shape[2])
    found = cameras_of_rays(views.rays.rays, views.rays.confidence, size, step)
    return replace(views, extrinsics=found.extrinsics, intrinsics=found.intrinsics)


@torch.no_grad()
def metric_views(
    views: Views, metric: MonoNetwork, images: FloatArray, step: MetricScale = METRES_STEP
) -> Views:
    """A scene in metres, by a second network that sees the same images [S,3,H,W].

    The focal lengths are those that the first network predicts. Rays stay in the first scale.
    Raises InputError if too little of the scene is ground.
    """
    depth, sky = _in_parts(metric, _tensor(images, metric))
    focal_px = (views.intrinsics[:, 0, 0] + views.intrinsics[:, 1, 1]) / np.float32(2)
    found = in_metres(
        views.depth,
        views.confidence,
        views.extrinsics,
        focal_px,
        (_array(depth), _array(sky)),
        step,
    )
    return replace(
        views,
        depth=found.depth,
        confidence=found.confidence,
        extrinsics=found.extrinsics,
        scale=found.scale,
    )


def _camera_tokens(
    network: AnyViewNetwork, seen: Prefixes, given: Optional[Cameras]
) -> Tensor:  # [1,S,D]
    views = len(seen.tokens)
    if given is None:
        return network.encoder.camera_tokens(views)
    placed = Cameras(normalised(given.extrinsics), given.intrinsics)
    codes = _tensor(codes_of_cameras(placed, seen.size), network)
    return network.camera_encoder(codes[None], views)


def _given(extrinsics: object, intrinsics: object, views: int) -> Optional[Cameras]:
    if extrinsics is None and intrinsics is None:
        return None
    if extrinsics is None or intrinsics is None:
        missing = "extrinsics" if extrinsics is None else "intrinsics"
        raise InputError(f"cameras without {missing}: the network needs both, or none")
    return given_cameras(extrinsics, intrinsics, views)


def _in_parts(stage: Callable[[Tensor], tuple[Tensor, ...]], values: Tensor) -> Iterator[Tensor]:
    """The outputs of a stage for many views, a few views at a time."""
    parts = [stage(values[i : i + _AT_ONCE]) for i in range(0, len(values), _AT_ONCE)]
    return (torch.cat(found) for found in zip(*parts))


def _tensor(values: FloatArray, network: torch.nn.Module) -> Tensor:
    device = next(network.parameters()).device
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32)).to(device)


def _array(values: Tensor) -> FloatArray:
    found: FloatArray = values.cpu().numpy()
    return found
