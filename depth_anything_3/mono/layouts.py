"""Renames published parameters of Depth Anything 3's models of one view to ours.

upstream  ByteDance-Seed/Depth-Anything-3, as its `save_pretrained` writes them
ours      the network's own state dict
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from depth.errors import CheckpointError
from depth.network.layouts import OURS, Layout, dpt_rules, load, renamed, vit_rules
from depth_anything_3.mono.config import MONO_MODELS

_EXPECTED = "Depth Anything 3 checkpoint: model.*, or encoder.* and decoder.*"
_HEADS = {"depth": "output_conv2", "sky": "sky_output_conv2"}  # ours: theirs

UPSTREAM = Layout(
    "upstream",
    frozenset({"model"}),
    (*vit_rules("model.backbone.pretrained."), *dpt_rules("model.head.", _HEADS)),
)
LAYOUTS = (UPSTREAM, OURS)
# Keys that only models of several views have.
_ANY_VIEW = ("model.cam_dec.", "model.cam_enc.", "model.da3.", "model.gs_head.", "model.head.norm.")


def to_ours(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A published state dict under our names; tensors are shared, not copied.

    Raises CheckpointError if the layout is unknown, a key has no rule, or a tensor is not dense
    floating-point.
    """
    return renamed(state, LAYOUTS, _EXPECTED)


def load_weights(network: nn.Module, state: Mapping[str, Tensor], source: str) -> None:
    """Load a state dict of any known layout into a network, all keys or none.

    Raises CheckpointError that names the keys that do not fit and the model the file looks like.
    """
    if any(key.startswith(_ANY_VIEW) for key in state):
        raise CheckpointError(
            f"{source} has the weights of a Depth Anything 3 model of several views; name that "
            f"model, and not one of one view: {', '.join(MONO_MODELS)}"
        )
    load(network, to_ours(state), source, {name: row.config for name, row in MONO_MODELS.items()})
