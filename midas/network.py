"""The networks of MiDaS, by the dimensions of a row."""

from __future__ import annotations

from torch import nn

from depth.family import Model
from depth.network.base import Network
from midas.config import DptConfig
from midas.dpt import MidasDpt
from midas.small import MidasSmall


def build(model: Model) -> Network:
    """The network of a row of `MODELS`, weights as torch makes them, at no fixed size."""
    if isinstance(model.config, DptConfig):
        return MidasDpt(model, nn.ReLU())
    return MidasSmall(model)
