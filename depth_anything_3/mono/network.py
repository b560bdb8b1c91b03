"""The network of Depth Anything 3's models of one view: DINOv2 encoder, DPT decoder, two heads."""

from __future__ import annotations

from torch import nn

from depth.family import Model
from depth.network.dpt import Exp
from depth.network.single_view import SingleView


class MonoNetwork(SingleView):
    """Image [B,3,H,W] to depth > 0 and sky >= 0, [B,H,W] each: sky where 0.3 or more."""

    def __init__(self, model: Model) -> None:
        super().__init__(model, {"depth": Exp(), "sky": nn.ReLU()})
