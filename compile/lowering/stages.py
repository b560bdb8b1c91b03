"""Encoder and decoder as programs of their own.

Shapes: B batch | H W pixels | h w patch grid | D width
"""

from __future__ import annotations

from typing import Union

import torch
from torch import Tensor, nn

from compile.lowering.network import OpenNetwork
from depth_anything_v2.network import DepthAnything

TAPS = 4  # token maps that the decoder reads


class EncoderStage(nn.Module):
    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, images: Tensor) -> Tensor:  # [B,3,H,W] -> [B,h*w,4*D]
        return torch.cat(self.encoder(images), dim=2)


class DecoderStage(nn.Module):
    def __init__(self, decoder: nn.Module) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(self, tokens: Tensor) -> Tensor:  # [B,h*w,4*D] -> [B,H,W]
        return self.decoder(tokens.chunk(TAPS, dim=2))


def split(network: Union[DepthAnything, OpenNetwork]) -> tuple[nn.Module, nn.Module]:
    """Encoder [B,3,H,W] -> [B,h*w,4*D] and decoder [B,h*w,4*D] -> [B,H,W].

    The four token maps lie side by side, so that one tensor goes from one program to the other.
    The stages share their weights with the network.
    """
    return EncoderStage(network.encoder), DecoderStage(network.decoder)
