"""Loads weights of any model of the family, from published names or ours."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from depth.network.layouts import load
from depth_anything_3.anyview import layouts as anyview_layouts
from depth_anything_3.anyview.network import AnyViewNetwork
from depth_anything_3.mono import layouts as mono_layouts
from depth_anything_3.nested_network import NestedNetwork

_OURS = ("any_view.", "metric.")  # of the two networks of a nested model


def load_weights(network: nn.Module, state: Mapping[str, Tensor], source: str) -> None:
    """Load a state dict of any known layout into a network, all keys or none.

    Raises CheckpointError that names the keys that do not fit and the model the file looks like.
    """
    if isinstance(network, NestedNetwork):
        if all(key.startswith(_OURS) for key in state):
            load(network, state, source, {})
        else:
            anyview_layouts.load_nested(network.any_view, network.metric, state, source)
    elif isinstance(network, AnyViewNetwork):
        anyview_layouts.load_weights(network, state, source)
    else:
        mono_layouts.load_weights(network, state, source)
