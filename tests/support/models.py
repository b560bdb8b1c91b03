"""Small networks of the V2 family and fixed-seed weights for the tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Optional

import torch
from torch import Tensor

from compile.untrained import untrained_checkpoint
from depth.family import ModelConfig
from depth_anything_v2.config import MODELS, model_row
from depth_anything_v2.network import DepthAnything, build
from tests.support.upstream_names import upstream_name, upstream_stems

DEMO = MODELS["demo"]
SIZE = (56, 70)  # (height, width) px: not square, and built in a second

TINY = ModelConfig("tiny", 24, 4, 2, (0, 1, 2, 3), 8, (6, 12, 24, 24))
TINY_GIANT = replace(TINY, name="tiny giant", swiglu=True)
TINY_MODEL = model_row("tiny", TINY, max_depth_m=20.0)


def untrained(config: ModelConfig, max_depth_m: Optional[float] = None) -> DepthAnything:
    """A network as torch makes it, at no fixed size."""
    return build(model_row(config.name, config, max_depth_m))


def weights(config: ModelConfig, max_depth_m: Optional[float] = None) -> dict[str, Tensor]:
    """Fixed-seed weights under our names; depth varies over the image with them."""
    return untrained_checkpoint(model_row(config.name, config, max_depth_m)).state


def network(
    config: ModelConfig, size: tuple[int, int] = SIZE, max_depth_m: Optional[float] = None
) -> DepthAnything:
    """A network with those weights, in eval mode."""
    made = untrained(config, max_depth_m)
    made.load_state_dict(weights(config, max_depth_m))
    made.fix_size(*size)
    return made.eval().requires_grad_(False)


def to_upstream(ours: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same weights under upstream's names, with the tensors that upstream saves unused."""
    stems = upstream_stems("pretrained.", "depth_head.", {"depth": "output_conv2"})
    state = {upstream_name(name, stems): tensor for name, tensor in ours.items()}
    state["pretrained.mask_token"] = torch.zeros(1, ours["encoder.position.cls_token"].shape[-1])
    for conv in ("conv1", "conv2"):
        for kind in ("weight", "bias"):
            used = state[f"depth_head.scratch.refinenet4.resConfUnit2.{conv}.{kind}"]
            unused = f"depth_head.scratch.refinenet4.resConfUnit1.{conv}.{kind}"
            state[unused] = torch.zeros_like(used)
    return state
