"""The networks of MiDaS, by the dimensions of a row."""

from __future__ import annotations

from depth.family import Model
from depth.network.base import Network
from midas.small import MidasSmall


def build(model: Model) -> Network:
    """The network of a row of `MODELS`, weights as torch makes them, at no fixed size."""
    return MidasSmall(model)
