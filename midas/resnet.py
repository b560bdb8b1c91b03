"""ResNetV2, inference only: what DPT-Hybrid has in front of its transformer.

Kolesnikov et al., "Big Transfer (BiT): General Visual Representation Learning", 2020: GroupNorm,
and convolutions whose weights are standardised. The network holds standardised weights;
`midas.layouts` makes them of published ones.

Shapes: B batch | C channels | H W pixels or cells
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from depth.network.convolution import (
    CentredGroupNorm,
    ConvolutionNorm,
    GroupNorm,
    SameConvolution,
)

STEM_DIM = 64
GROUPS = 32
_SQUEEZE = 4  # a block is a quarter as wide inside


class Bottleneck(nn.Module):
    """Narrow, convolve, widen, and add the input; the first block of a stage fits its shape."""

    def __init__(self, in_dim: int, dim: int, stride: int) -> None:
        super().__init__()
        inner = dim // _SQUEEZE
        fits = stride == 1 and in_dim == dim
        self.shortcut = nn.Identity() if fits else _layer(in_dim, dim, 1, stride, linear=True)
        self.narrow = _layer(in_dim, inner, 1)
        self.convolve = _layer(inner, inner, 3, stride)
        self.widen = _layer(inner, dim, 1, linear=True)

    def forward(self, x: Tensor) -> Tensor:  # [B,C,H,W] -> [B,C',H/stride,W/stride]
        y: Tensor = self.widen(self.convolve(self.narrow(x)))
        return F.relu(y + self.shortcut(x))


class ResNet(nn.Module):
    """Image to a feature map per stage."""

    def __init__(self, blocks: Sequence[int], dims: Sequence[int]) -> None:
        super().__init__()
        self.stem = _layer(3, STEM_DIM, 7, stride=2)
        self.stem.norm = CentredGroupNorm(GROUPS, STEM_DIM)
        self.stages = nn.ModuleList()
        in_dim = STEM_DIM
        for index, (count, dim) in enumerate(zip(blocks, dims)):
            first = Bottleneck(in_dim, dim, stride=2 if index else 1)
            self.stages.append(
                nn.Sequential(first, *(Bottleneck(dim, dim, 1) for _ in range(count - 1)))
            )
            in_dim = dim

    def forward(self, images: Tensor) -> list[Tensor]:
        """[B,3,H,W] -> [B,C,H/4,W/4], [B,C,H/8,W/8], ..."""
        # Padding "same" of a maximum: zeros do not count, because no value is below 0.
        padded = torch.constant_pad_nd(self.stem(images), (0, 1, 0, 1))
        x, features = F.max_pool2d(padded, 3, stride=2), []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        return features


def _layer(
    in_dim: int, dim: int, kernel_px: int, stride: int = 1, linear: bool = False
) -> ConvolutionNorm:
    activation: nn.Module = nn.Identity() if linear else nn.ReLU()
    norm = GroupNorm(GROUPS, dim)
    return ConvolutionNorm(SameConvolution(in_dim, dim, kernel_px, stride), norm, activation)
