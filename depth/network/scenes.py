"""The stages of a torch network, as `depth/steps/views.py` drives them: float32, uncompiled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Union

import numpy as np
import torch
from torch import Tensor, nn

from depth.maps.result import FloatArray
from depth.sizes import Size
from depth.steps.stages import CAMERAS, HEAD, PREFIX, RAYS, TRUNK, Prefixes, check_images

_AT_ONCE = 8  # views in one run of a stage that knows one view

Module = Callable[..., Union[Tensor, "tuple[Tensor, ...]"]]


@dataclass(frozen=True)
class TorchStages:
    """Implements `depth.steps.stages.Stages`.

    size     (height, width) px
    stage    name and number of views -> the module of a stage at this size
    network  that the modules are of: they run where its weights are
    """

    size: Size
    stage: Callable[[str, int], nn.Module]
    network: nn.Module

    def prefix(self, images: FloatArray) -> Prefixes:
        """As `Stages.prefix`."""
        check_images(images, self.size)
        return Prefixes(*in_parts(self.network, self.stage(PREFIX, 1), images))

    def cameras(self, codes: FloatArray, known: bool) -> FloatArray:
        """As `Stages.cameras`."""
        flag = np.full((1, 1, 1), known, np.float32)
        return _run(self.network, self.stage(CAMERAS, len(codes)), codes[None], flag)[0][0]

    def trunk(self, tokens: FloatArray, camera_tokens: FloatArray) -> tuple[FloatArray, FloatArray]:
        """As `Stages.trunk`."""
        stage = self.stage(TRUNK, len(tokens))
        features, codes = _run(self.network, stage, tokens[None], camera_tokens[None])
        return features[0], codes[0]

    def head(self, features: FloatArray, rays: bool) -> tuple[FloatArray, ...]:
        """As `Stages.head`."""
        return in_parts(self.network, self.stage(RAYS if rays else HEAD, 1), features)


def in_parts(network: nn.Module, stage: Module, *values: FloatArray) -> tuple[FloatArray, ...]:
    """The outputs of a stage of a network for many views, a few views at a time."""
    slices = [slice(start, start + _AT_ONCE) for start in range(0, len(values[0]), _AT_ONCE)]
    parts = [_run(network, stage, *(array[part] for array in values)) for part in slices]
    return tuple(np.concatenate(found) for found in zip(*parts))


@torch.no_grad()
def _run(network: nn.Module, stage: Module, *arrays: FloatArray) -> tuple[FloatArray, ...]:
    device = next(network.parameters()).device
    tensors = (torch.from_numpy(np.ascontiguousarray(a, dtype=np.float32)) for a in arrays)
    found = stage(*(tensor.to(device) for tensor in tensors))
    outputs = found if isinstance(found, tuple) else (found,)
    return tuple(output.cpu().numpy() for output in outputs)
