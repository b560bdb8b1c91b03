"""The stages of a network as programs of their own."""

from __future__ import annotations

from torch import nn

from depth.errors import InputError
from depth.family import Stage
from depth.network.base import Network


def split(network: Network) -> list[tuple[Stage, nn.Module]]:
    """The stages of a network at its fixed size, first to last, each with its module.

    The modules share their weights with the network; tensors go from one to the next by the names
    of the stages' ports. Raises InputError if the network is not divided.
    """
    if not network.model.split:
        raise InputError(f"{network.model.name} is one program: it has no stages to split into")
    return [(stage, network.stage(stage.name)) for stage in network.model.split]
