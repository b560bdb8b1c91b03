"""Small networks of Depth Anything 3, and their weights under upstream's names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from compile.untrained import untrained_checkpoint
from depth.family import Model
from depth.sizes import TWICE, UPPER, SizeRule
from depth_anything_3.mono.config import LARGE, model_row
from depth_anything_3.mono.network import MonoNetwork
from tests.support.upstream_names import upstream_name, upstream_stems

TINY = replace(
    LARGE,
    name="tiny-mono",
    embed_dim=24,
    depth=4,
    num_heads=2,
    taps=(0, 1, 2, 3),
    decoder_dim=8,
    stage_dims=(6, 12, 24, 24),
)
_SIZE = SizeRule(UPPER, 84, 14, TWICE)
TINY_MONO = model_row("tiny-mono", TINY, _SIZE)
TINY_METRIC = model_row("tiny-metric", TINY, _SIZE, metric=True)

_MAPS = {"depth": "output_conv2", "sky": "sky_output_conv2"}
_STEMS = upstream_stems("model.backbone.pretrained.", "model.head.", _MAPS)


def weights(model: Model = TINY_MONO) -> dict[str, Tensor]:
    """Fixed-seed weights under our names, with which a part of the picture is sky."""
    state = untrained_checkpoint(model).state
    state["decoder.heads.sky.conv2.bias"] = torch.full((1,), 0.3)
    return state


def network(model: Model = TINY_MONO) -> MonoNetwork:
    """A network with those weights, in eval mode, at no fixed size."""
    made = MonoNetwork(model)
    made.load_state_dict(weights(model))
    return made.eval().requires_grad_(False)


def to_upstream(ours: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same weights under upstream's names."""
    return {upstream_name(name, _STEMS): tensor for name, tensor in ours.items()}
