"""The third family has one layout, its own."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from depth.errors import CheckpointError


def load_weights(network: nn.Module, state: Mapping[str, Tensor], source: str) -> None:
    """All keys or none; raises CheckpointError."""
    try:
        network.load_state_dict(dict(state))
    except RuntimeError as error:
        raise CheckpointError(f"{source} does not fit this network: {error}") from error
