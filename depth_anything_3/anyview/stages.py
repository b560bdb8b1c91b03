"""Scenes by a torch network of any number of views."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from depth.maps.result import FloatArray
from depth.network.scenes import TorchStages, in_parts
from depth.sizes import Size
from depth.steps.reference_view import SADDLE_BALANCED, check_strategy
from depth.steps.views import Views, known_cameras, views_after
from depth_anything_3.anyview.network import AnyViewNetwork
from depth_anything_3.mono.network import MonoNetwork


def eager_stages(network: AnyViewNetwork, size: Size) -> TorchStages:
    """The stages of a network at (height, width) px."""
    return TorchStages(size, lambda name, views: network.stage_at(size, name, views), network)


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
    strategy, rays  as `depth.steps.views.views_after` takes them

    Raises InputError for images, cameras or a strategy that are not as said.
    """
    check_strategy(strategy)
    given = known_cameras(extrinsics, intrinsics, len(images))
    height, width = images.shape[2:] if images.ndim == 4 else (0, 0)
    stages = eager_stages(network, (int(height), int(width)))
    return views_after(stages, stages.prefix(images), given, strategy, rays)


def metric_of(network: MonoNetwork) -> Callable[[FloatArray], tuple[FloatArray, FloatArray]]:
    """A network that knows metres as `depth.steps.views.metric_views` calls it."""

    def metric(images: FloatArray) -> tuple[FloatArray, FloatArray]:
        depth, sky = in_parts(network, network, images)
        return depth, sky

    return metric


def numbers_of(
    network: AnyViewNetwork, features: Sequence[Tensor], images: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """What the network says of Gaussians: numbers [V,H,W,37] and opacities [V,H,W].

    features  [.,h*w,D] of V views, as the head is given them, in parts
    images    [V,3,H,W], network inputs

    Raises InputError for a model without Gaussians.
    """
    stage = network.gaussian_stage((int(images.shape[2]), int(images.shape[3])))
    joined = torch.cat(tuple(features)).cpu().numpy()
    raw, opacities = in_parts(network, stage, joined, images)
    return raw, opacities
