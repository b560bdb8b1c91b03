"""The network of Depth Anything V2 (Yang et al., 2024): DINOv2 encoder, DPT decoder."""

from __future__ import annotations

from torch import nn

from depth.family import Model
from depth.network.dpt import Decoder, SigmoidTo
from depth.network.single_view import SingleView
from depth.network.vit import Encoder
from depth_anything_v2.config import PATCH_PX, ModelConfig


class DepthAnything(SingleView):
    """Image [B,3,H,W] to depth [B,H,W]: inverse depth >= 0, or metres below the model's range."""

    def __init__(self, model: Model) -> None:
        config: ModelConfig = model.config
        far = model.depth.largest
        encoder = Encoder(
            config.embed_dim,
            config.depth,
            config.num_heads,
            config.taps,
            swiglu=config.swiglu,
            patch_px=PATCH_PX,
        )
        head: nn.Module = nn.ReLU() if far is None else SigmoidTo(far)
        decoder = Decoder(
            config.embed_dim, config.decoder_dim, config.stage_dims, {model.depth.name: head}
        )
        super().__init__(model, encoder, decoder)


def build(model: Model) -> DepthAnything:
    """The network of a row of `MODELS`, weights as torch makes them, at no fixed size."""
    return DepthAnything(model)
