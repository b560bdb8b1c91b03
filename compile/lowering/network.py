"""The network with every step that a pass rewrites as a module of its own.

Without a pass it gives the numbers of `DepthAnything` bit for bit. A pass replaces a part by
another of the same shapes, or by `nn.Identity`, which leaves nothing in the graph.

Shapes: B batch | H W pixels | h w patch grid | N = 1 + h*w tokens | D width | K heads | C channels
"""

from __future__ import annotations

from typing import Optional, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from compile.lowering.attention import Attend
from compile.lowering.patches import PatchConvolution, PatchEmbed
from compile.lowering.position import FixedPosition
from compile.lowering.resize import Interpolate
from depth.family import PATCH_PX
from depth.network.dpt import Decoder, Fusion
from depth.network.vit import Attention, Block, Encoder
from depth_anything_v2.network import DepthAnything


class Gain(nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor


class ChannelGain(nn.Module):
    def __init__(self, factor: nn.Parameter) -> None:  # [D]
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:  # [B,N,D] -> [B,N,D]
        return x * self.factor


class OpenAttention(nn.Module):
    def __init__(self, attention: Attention) -> None:
        super().__init__()
        self.num_heads, self.head_dim = attention.num_heads, attention.head_dim
        self.tokens = attention.tokens
        self.qkv, self.proj = attention.qkv, attention.proj
        self.scale: nn.Module = Gain(attention.head_dim**-0.5)
        self.attend: nn.Module = Attend()

    def forward(self, x: Tensor) -> Tensor:  # [B,N,D] -> [B,N,D]
        q, k, v = (self._heads(t) for t in self.qkv(x).chunk(3, dim=-1))  # 3 x [B,K,N,D/K]
        return self.proj(self.attend(self.scale(q), k, v).transpose(1, 2).flatten(2))

    def _heads(self, x: Tensor) -> Tensor:  # [B,N,D] -> [B,K,N,D/K]
        return x.reshape(-1, self.tokens, self.num_heads, self.head_dim).transpose(1, 2)


class OpenBlock(nn.Module):
    def __init__(self, block: Block) -> None:
        super().__init__()
        self.norm1, self.attn = block.norm1, OpenAttention(block.attn)
        self.gain1: nn.Module = ChannelGain(block.scale1)
        self.norm2, self.mlp = block.norm2, block.mlp
        self.gain2: nn.Module = ChannelGain(block.scale2)

    def forward(self, x: Tensor) -> Tensor:  # [B,N,D] -> [B,N,D]
        x = x + self.gain1(self.attn(self.norm1(x)))
        return x + self.gain2(self.mlp(self.norm2(x)))


class OpenEncoder(nn.Module):
    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.taps = encoder.taps
        convolution = encoder.patch_embed
        self.patch_embed: PatchEmbed = PatchConvolution(
            convolution.weight, cast(Tensor, convolution.bias)
        )
        self.position: nn.Module = FixedPosition(encoder.position)
        self.blocks = nn.ModuleList(
            [OpenBlock(block) for block in encoder.blocks if isinstance(block, Block)]
        )
        self.norm = encoder.norm

    def forward(self, images: Tensor) -> list[Tensor]:  # [B,3,H,W] -> 4 x [B,h*w,D]
        # A zero row in front becomes the class token when the position is added.
        x = (
            torch.constant_pad_nd(self.patch_embed(images), (0, 0, 1, 0)) + self.position()
        )  # [B,N,D]
        features = []
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in self.taps:
                features.append(self.norm(x)[:, 1:])
        return features


class OpenFusion(nn.Module):
    def __init__(self, fusion: Fusion, in_size: tuple[int, int]) -> None:
        super().__init__()
        self.skip_unit, self.unit = fusion.skip_unit, fusion.unit
        self.upsample: nn.Module = Interpolate(in_size, fusion.out_size)
        self.project = fusion.project

    def forward(self, x: Tensor, skip: Optional[Tensor] = None) -> Tensor:
        if self.skip_unit is not None:
            x = x + self.skip_unit(skip)
        return self.project(self.upsample(self.unit(x)))


class OpenDecoder(nn.Module):
    def __init__(self, decoder: Decoder) -> None:
        super().__init__()
        self.embed_dim, self.grid = decoder.embed_dim, decoder.grid
        self.project, self.resize, self.adapt = decoder.project, decoder.resize, decoder.adapt
        h, w = decoder.grid
        # Stage 3 comes from a convolution of stride 2 that rounds an odd side up.
        self.fuse3 = OpenFusion(decoder.fuse3, ((h + 1) // 2, (w + 1) // 2))
        self.fuse2 = OpenFusion(decoder.fuse2, (h, w))
        self.fuse1 = OpenFusion(decoder.fuse1, (2 * h, 2 * w))
        self.fuse0 = OpenFusion(decoder.fuse0, (4 * h, 4 * w))
        self.head1, self.head2, self.head3 = decoder.head1, decoder.head2, decoder.head3
        self.upsample: nn.Module = Interpolate((8 * h, 8 * w), decoder.out_size)
        self.depth: nn.Module = (
            nn.ReLU()
            if decoder.max_depth_m is None
            else nn.Sequential(nn.Sigmoid(), Gain(decoder.max_depth_m))
        )

    def forward(self, features: list[Tensor]) -> Tensor:  # 4 x [B,h*w,D] -> [B,H,W]
        s0, s1, s2, s3 = (self._stage(i, f) for i, f in enumerate(features))
        x = self.fuse3(s3)  # stride 28 -> 14
        x = self.fuse2(x, s2)  # 14 -> 7
        x = self.fuse1(x, s1)  # 7 -> 3.5
        x = self.fuse0(x, s0)  # 3.5 -> 1.75
        x = self.upsample(self.head1(x))
        return self.depth(self.head3(F.relu(self.head2(x)))).squeeze(1)

    def _stage(self, i: int, tokens: Tensor) -> Tensor:  # [B,h*w,D] -> [B,C,.,.]
        grid = tokens.transpose(1, 2).reshape(-1, self.embed_dim, *self.grid)
        return self.adapt[i](self.resize[i](self.project[i](grid)))


class OpenNetwork(nn.Module):
    """What the passes rewrite, and what they leave. `passes` says which have been applied."""

    def __init__(self, network: DepthAnything) -> None:
        super().__init__()
        self.size = network.size
        self.passes: tuple[str, ...] = ()
        self.encoder = OpenEncoder(network.encoder)
        self.decoder = OpenDecoder(network.decoder)

    @property
    def grid(self) -> tuple[int, int]:
        """Patches (down, across)."""
        return self.size[0] // PATCH_PX, self.size[1] // PATCH_PX

    def forward(self, images: Tensor) -> Tensor:  # [B,3,H,W] -> [B,H,W]
        return self.decoder(self.encoder(images))
