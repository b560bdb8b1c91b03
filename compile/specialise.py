"""Weights and a size become a network that is ready to trace."""

from __future__ import annotations

from depth.family import Model, build, load_weights
from depth.network.base import Network
from depth.weights.checkpoint import Checkpoint


def specialise(model: Model, checkpoint: Checkpoint, size: tuple[int, int]) -> Network:
    """The model with these weights at (height, width) px, in eval mode, without gradients.

    Raises CheckpointError if the weights do not fit, InputError if the size is not usable.
    """
    network = build(model)
    load_weights(network, checkpoint.state, checkpoint.name)
    network.fix_size(*size)
    return network.eval().requires_grad_(False)
