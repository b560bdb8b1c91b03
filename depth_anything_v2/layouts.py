"""Renames published parameters of Depth Anything V2 to ours.

upstream      DepthAnything/Depth-Anything-V2
transformers  Hugging Face's DepthAnythingForDepthEstimation
ours          the network's own state dict
earlier       the names of the bundled demo model, from an earlier version
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from depth.network.layouts import (
    OURS,
    Layout,
    Rule,
    dpt_rules,
    load,
    renamed,
    transformers_dpt_rules,
    transformers_vit_rules,
    vit_rules,
)
from depth_anything_v2.config import CONFIGS

_EXPECTED = (
    "Depth Anything checkpoint: pretrained.* and depth_head.*, or backbone.* and neck.*, or "
    "encoder.* and decoder.*"
)

UPSTREAM = Layout(
    "upstream",
    frozenset({"pretrained", "depth_head"}),
    (*vit_rules("pretrained."), *dpt_rules("depth_head.", {"depth": "output_conv2"})),
)

_LAYER, _BLOCK = r"backbone\.encoder\.layer\.(\d+)\.", r"encoder.blocks.\1."
TRANSFORMERS = Layout(
    "transformers",
    frozenset({"backbone", "neck"}),
    (
        (r"backbone\.embeddings\.mask_token", None),  # training only
        *transformers_vit_rules("backbone."),
        (_LAYER + r"layer_scale([12])\.lambda1", _BLOCK + r"scale\2.gamma"),
        (_LAYER + r"mlp\.weights_in\.(.*)", _BLOCK + r"mlp.w12.\2"),
        (_LAYER + r"mlp\.weights_out\.(.*)", _BLOCK + r"mlp.w3.\2"),
        (_LAYER + r"(norm[12]|mlp\.fc[12])\.(.*)", _BLOCK + r"\2.\3"),
        (r"backbone\.layernorm\.(.*)", r"encoder.norm.\1"),
        *transformers_dpt_rules(("head.conv1", "head.conv2", "head.conv3")),
    ),
)

# Tried before our own names. A key of neither list fails when it is loaded.
EARLIER: tuple[Rule, ...] = (
    (r"encoder\.(cls_token|pos_embed)", r"encoder.position.\1"),
    (r"encoder\.blocks\.(\d+)\.scale([12])", r"encoder.blocks.\1.scale\2.gamma"),
    (r"decoder\.(project|resize|adapt)\.(.*)", r"decoder.pyramid.\1.\2"),
    (r"decoder\.(fuse\d)\.(.*)", r"decoder.merge.\1.\2"),
    (r"decoder\.head1\.(.*)", r"decoder.reduce.\1"),
    (r"decoder\.head2\.(.*)", r"decoder.heads.depth.conv1.\1"),
    (r"decoder\.head3\.(.*)", r"decoder.heads.depth.conv2.\1"),
)

LAYOUTS = (UPSTREAM, TRANSFORMERS, Layout(OURS.name, OURS.marks, (*EARLIER, *OURS.rules)))


def to_ours(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A published state dict under our names; tensors are shared, not copied.

    Raises CheckpointError if the layout is unknown, a key has no rule, or a tensor is not dense
    floating-point.
    """
    return renamed(state, LAYOUTS, _EXPECTED)


def load_weights(network: nn.Module, state: Mapping[str, Tensor], source: str) -> None:
    """Load a state dict of any known layout into a network, all keys or none.

    Raises CheckpointError that names the keys that do not fit and the size the file looks like.
    """
    load(network, to_ours(state), source, CONFIGS)
