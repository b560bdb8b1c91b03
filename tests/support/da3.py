"""Small networks of Depth Anything 3, and their weights under upstream's names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from compile.untrained import untrained_checkpoint
from depth.family import Model
from depth.sizes import TWICE, UPPER, SizeRule
from depth_anything_3.config import LARGE, model_row
from depth_anything_3.network import MonoNetwork, build

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

# Our names and upstream's, written again by hand: what layouts.py is compared with.
_STEMS = [
    ("encoder.patch_embed.", "backbone.pretrained.patch_embed.proj."),
    ("encoder.position.", "backbone.pretrained."),
    ("encoder.", "backbone.pretrained."),
    *((f"decoder.pyramid.project.{i}.", f"head.projects.{i}.") for i in range(4)),
    *((f"decoder.pyramid.resize.{i}.", f"head.resize_layers.{i}.") for i in (0, 1, 3)),
    *((f"decoder.pyramid.adapt.{i}.", f"head.scratch.layer{i + 1}_rn.") for i in range(4)),
    *(
        (f"decoder.merge.fuse{i}.{ours}.", f"head.scratch.refinenet{i + 1}.{theirs}.")
        for i in range(4)
        for ours, theirs in (
            ("skip_unit", "resConfUnit1"),
            ("unit", "resConfUnit2"),
            ("project", "out_conv"),
        )
    ),
    ("decoder.reduce.", "head.scratch.output_conv1."),
    *(
        (f"decoder.heads.{ours}.conv{i + 1}.", f"head.scratch.{theirs}.{2 * i}.")
        for ours, theirs in (("depth", "output_conv2"), ("sky", "sky_output_conv2"))
        for i in range(2)
    ),
]


def weights(model: Model = TINY_MONO) -> dict[str, Tensor]:
    """Fixed-seed weights under our names, with which a part of the picture is sky."""
    state = untrained_checkpoint(model).state
    state["decoder.heads.sky.conv2.bias"] = torch.full((1,), 0.3)
    return state


def network(model: Model = TINY_MONO) -> MonoNetwork:
    """A network with those weights, in eval mode, at no fixed size."""
    made = build(model)
    made.load_state_dict(weights(model))
    return made.eval().requires_grad_(False)


def to_upstream(ours: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same weights under upstream's names."""
    return {f"model.{_upstream_name(name)}": tensor for name, tensor in ours.items()}


def _upstream_name(ours: str) -> str:
    for stem, theirs in _STEMS:
        if ours.startswith(stem):
            name = theirs + ours[len(stem) :]
            return name.replace(".scale1.", ".ls1.").replace(".scale2.", ".ls2.")
    raise KeyError(ours)
