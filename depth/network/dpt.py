"""DPT decoder: four token maps in, one depth map out, at one fixed size.

Ranftl et al., "Vision Transformers for Dense Prediction", 2021.

Shapes: B batch | h w patch grid | D encoder width | C decoder width
        stages 0..3 = strides 3.5, 7, 14, 28 px
"""

from __future__ import annotations

from typing import Optional

import torch.nn.functional as F
from torch import Tensor, nn

from depth.family import NATIVE_GRID, PATCH_PX
from depth_anything_v2.config import ModelConfig


class ResidualUnit(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(dim, dim, 3, padding=1)
        self.conv2 = nn.Conv2d(dim, dim, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv2(F.relu(self.conv1(F.relu(x))))


class Fusion(nn.Module):
    """Add a stage to the running map, then resize to the next stage."""

    def __init__(self, dim: int, has_skip: bool) -> None:
        super().__init__()
        self.out_size = (0, 0)  # set by Decoder.fix_size
        self.skip_unit = ResidualUnit(dim) if has_skip else None
        self.unit = ResidualUnit(dim)
        self.project = nn.Conv2d(dim, dim, 1)

    def forward(self, x: Tensor, skip: Optional[Tensor] = None) -> Tensor:
        if self.skip_unit is not None:
            x = x + self.skip_unit(skip)
        return self.project(upsample(self.unit(x), self.out_size))


class Decoder(nn.Module):
    """Four token maps to one depth map: inverse depth >= 0, or metres if `max_depth_m` is given."""

    def __init__(self, config: ModelConfig, max_depth_m: Optional[float] = None) -> None:
        super().__init__()
        dim, dims = config.decoder_dim, config.stage_dims
        self.embed_dim = config.embed_dim
        self.max_depth_m = max_depth_m
        self.project = nn.ModuleList([nn.Conv2d(config.embed_dim, d, 1) for d in dims])
        self.resize = nn.ModuleList(
            [
                nn.ConvTranspose2d(dims[0], dims[0], 4, stride=4),
                nn.ConvTranspose2d(dims[1], dims[1], 2, stride=2),
                nn.Identity(),
                nn.Conv2d(dims[3], dims[3], 3, stride=2, padding=1),
            ]
        )
        self.adapt = nn.ModuleList([nn.Conv2d(d, dim, 3, padding=1, bias=False) for d in dims])
        self.fuse3 = Fusion(dim, has_skip=False)
        self.fuse2 = Fusion(dim, has_skip=True)
        self.fuse1 = Fusion(dim, has_skip=True)
        self.fuse0 = Fusion(dim, has_skip=True)
        self.head1 = nn.Conv2d(dim, dim // 2, 3, padding=1)
        self.head2 = nn.Conv2d(dim // 2, 32, 3, padding=1)
        self.head3 = nn.Conv2d(32, 1, 1)
        self.fix_size(NATIVE_GRID, NATIVE_GRID)

    def fix_size(self, h: int, w: int) -> None:
        """Settle every size for an h x w patch grid."""
        self.grid = (h, w)
        self.out_size = (h * PATCH_PX, w * PATCH_PX)
        for factor, fuse in ((1, self.fuse3), (2, self.fuse2), (4, self.fuse1), (8, self.fuse0)):
            fuse.out_size = (factor * h, factor * w)

    def forward(self, features: list[Tensor]) -> Tensor:  # 4 x [B,h*w,D] -> [B,H,W]
        s0, s1, s2, s3 = (self._stage(i, f) for i, f in enumerate(features))
        x = self.fuse3(s3)  # stride 28 -> 14
        x = self.fuse2(x, s2)  # 14 -> 7
        x = self.fuse1(x, s1)  # 7 -> 3.5
        x = self.fuse0(x, s0)  # 3.5 -> 1.75
        x = upsample(self.head1(x), self.out_size)
        return self._depth(self.head3(F.relu(self.head2(x)))).squeeze(1)

    def _stage(self, i: int, tokens: Tensor) -> Tensor:  # [B,h*w,D] -> [B,C,.,.]
        grid = tokens.transpose(1, 2).reshape(-1, self.embed_dim, *self.grid)
        return self.adapt[i](self.resize[i](self.project[i](grid)))

    def _depth(self, x: Tensor) -> Tensor:
        return F.relu(x) if self.max_depth_m is None else x.sigmoid() * self.max_depth_m


def upsample(x: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(x, size=size, mode="bilinear", align_corners=True)
