"""Weights and a size become a network that is ready to trace."""

from __future__ import annotations

from depth.weights.checkpoint import Checkpoint
from depth_anything_v2.config import Model
from depth_anything_v2.layouts import load_weights
from depth_anything_v2.network import DepthAnything


def specialise(model: Model, checkpoint: Checkpoint, size: tuple[int, int]) -> DepthAnything:
    """The model with these weights at (height, width) px, in eval mode, without gradients.

    Raises CheckpointError if the weights do not fit, InputError if the size is not usable.
    """
    network = DepthAnything(model.config, model.max_depth_m)
    load_weights(network, checkpoint.state, checkpoint.name)
    network.fix_size(*size)
    return network.eval().requires_grad_(False)
