"""The stages of a torch network, as `depth/steps/views.py` drives them: float32, any size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from depth.maps.result import FloatArray
from depth.sizes import Size
from depth.steps.reference_view import SADDLE_BALANCED, check_strategy
from depth.steps.stages import Prefixes, check_images
from depth.steps.views import Views, known_cameras, views_after
from depth_anything_3.anyview.network import AnyViewNetwork
from depth_anything_3.network import MonoNetwork

_AT_ONCE = 8  # views in one run of a stage that knows one view


@dataclass(frozen=True)
class EagerStages:
    """Implements `Stages`; the modules run where the network's weights are."""

    network: AnyViewNetwork
    size: Size  # (height, width) px

    def prefix(self, images: FloatArray) -> Prefixes:
        """As `Stages.prefix`."""
        check_images(images, self.size)
        return Prefixes(*self._in_parts(self.network.prefix(self.size), images))

    def cameras(self, codes: FloatArray, known: bool) -> FloatArray:
        """As `Stages.cameras`."""
        flag = np.full((1, 1, 1), known, np.float32)
        return self._run(self.network.cameras(len(codes)), codes[None], flag)[0][0]

    def trunk(self, tokens: FloatArray, camera_tokens: FloatArray) -> tuple[FloatArray, FloatArray]:
        """As `Stages.trunk`."""
        trunk = self.network.trunk(self.size, len(tokens))
        features, codes = self._run(trunk, tokens[None], camera_tokens[None])
        return features[0], codes[0]

    def head(self, features: FloatArray, rays: bool) -> tuple[FloatArray, ...]:
        """As `Stages.head`."""
        return self._in_parts(self.network.head(self.size, rays), features)

    def _in_parts(self, stage: _Stage, values: FloatArray) -> tuple[FloatArray, ...]:
        return _in_parts(self.network, stage, values)

    def _run(self, stage: _Stage, *arrays: FloatArray) -> tuple[FloatArray, ...]:
        return _run(self.network, stage, *arrays)


_Stage = Callable[..., "tuple[Tensor, ...] | Tensor"]


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
    stages = EagerStages(network, _size_of(images))
    return views_after(stages, stages.prefix(images), given, strategy, rays)


def metric_of(network: MonoNetwork) -> Callable[[FloatArray], tuple[FloatArray, FloatArray]]:
    """A network that knows metres as `depth.steps.views.metric_views` calls it."""

    def metric(images: FloatArray) -> tuple[FloatArray, FloatArray]:
        depth, sky = _in_parts(network, network, images)
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
    stage = network.gaussian_stage(_size_of(images))
    joined = torch.cat(tuple(features)).cpu().numpy()
    raw, opacities = _in_parts(network, stage, joined, images)
    return raw, opacities


def _size_of(images: FloatArray) -> Size:
    height, width = images.shape[2:] if images.ndim == 4 else (0, 0)
    return int(height), int(width)


def _in_parts(
    network: torch.nn.Module, stage: _Stage, *values: FloatArray
) -> tuple[FloatArray, ...]:
    """The outputs of a stage for many views, a few views at a time."""
    starts = range(0, len(values[0]), _AT_ONCE)
    slices = [slice(start, start + _AT_ONCE) for start in starts]
    parts = [_run(network, stage, *(array[part] for array in values)) for part in slices]
    return tuple(np.concatenate(found) for found in zip(*parts))


@torch.no_grad()
def _run(network: torch.nn.Module, stage: _Stage, *arrays: FloatArray) -> tuple[FloatArray, ...]:
    device = next(network.parameters()).device
    tensors = (torch.from_numpy(np.ascontiguousarray(a, dtype=np.float32)) for a in arrays)
    found = stage(*(tensor.to(device) for tensor in tensors))
    outputs = found if isinstance(found, tuple) else (found,)
    return tuple(output.cpu().numpy() for output in outputs)
