"""The network of Depth Anything V2 (Yang et al., 2024): DINOv2 encoder, DPT decoder."""

from __future__ import annotations

from torch import nn

from depth.family import Model
from depth.network.dpt import SigmoidTo
from depth.network.single_view import SingleView


class DepthAnything(SingleView):
    """Image [B,3,H,W] to depth [B,H,W]: inverse depth >= 0, or metres below the model's range."""

    def __init__(self, model: Model) -> None:
        far = model.depth.largest
        super().__init__(model, {model.depth.name: nn.ReLU() if far is None else SigmoidTo(far)})


def build(model: Model) -> DepthAnything:
    """The network of a row of `MODELS`, weights as torch makes them, at no fixed size."""
    return DepthAnything(model)
