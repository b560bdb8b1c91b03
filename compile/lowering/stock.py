"""The network as the published code traces."""

from __future__ import annotations

from compile.lowering.passes import copied
from depth.network.base import Network
from depth.network.position import unsettle


def stock(network: Network) -> Network:
    """A copy that resamples its position embedding in forward, with nothing folded.

    Its numbers are the network's own; its graph holds what the passes remove.
    """
    published = copied(network)
    unsettle(published)
    return published
