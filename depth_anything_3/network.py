"""The network of Depth Anything 3's models of one view: DINOv2 encoder, DPT decoder, two heads."""

from __future__ import annotations

from torch import nn

from depth.family import Model
from depth.network.dpt import Decoder, Exp
from depth.network.single_view import SingleView
from depth.network.vit import Encoder
from depth_anything_3.config import NORM_EPS, PATCH_PX, MonoConfig


class MonoNetwork(SingleView):
    """Image [B,3,H,W] to depth > 0 and sky >= 0, [B,H,W] each: sky where 0.3 or more."""

    def __init__(self, model: Model) -> None:
        config: MonoConfig = model.config
        encoder = Encoder(
            config.embed_dim,
            config.depth,
            config.num_heads,
            config.taps,
            patch_px=PATCH_PX,
            norm_eps=NORM_EPS,
        )
        heads: dict[str, nn.Module] = {"depth": Exp(), "sky": nn.ReLU()}
        decoder = Decoder(config.embed_dim, config.decoder_dim, config.stage_dims, heads)
        super().__init__(model, encoder, decoder)


def build(model: Model) -> MonoNetwork:
    """The network of a row of `MODELS`, weights as torch makes them, at no fixed size."""
    return MonoNetwork(model)
