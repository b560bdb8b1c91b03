"""The networks of Depth Anything 3: of one view, and of any number of views."""

from __future__ import annotations

from depth.family import Model
from depth.network.base import Network
from depth_anything_3.anyview.config import NestedModel
from depth_anything_3.anyview.network import AnyViewNetwork
from depth_anything_3.mono.network import MonoNetwork
from depth_anything_3.nested_network import NestedNetwork


def build(model: Model) -> Network:
    """The network of a row of `MODELS`, weights as torch makes them, at no fixed size."""
    if isinstance(model.config, NestedModel):
        return NestedNetwork(model)
    return AnyViewNetwork(model) if model.takes_scenes else MonoNetwork(model)
