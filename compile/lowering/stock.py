"""The network as the published code traces."""

from __future__ import annotations

import copy

from compile.lowering.network import OpenNetwork
from compile.lowering.position import ResampledPosition
from depth_anything_v2.network import DepthAnything


def stock(network: DepthAnything) -> OpenNetwork:
    """A copy that resamples its position embedding in forward, with nothing folded.

    Its numbers are the network's own; its graph holds what the passes remove.
    """
    copied = copy.deepcopy(network)
    opened = OpenNetwork(copied)
    encoder = copied.encoder
    opened.encoder.position = ResampledPosition(encoder.pos_embed, encoder.cls_token, opened.grid)
    return opened.eval().requires_grad_(False)
