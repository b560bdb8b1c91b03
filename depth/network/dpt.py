"""DPT decoder: from four token maps to one map per output.

Ranftl et al., "Vision Transformers for Dense Prediction", 2021.

No block keeps a size: each call has the patch grid as plain ints. Each step that a lowering pass
may replace is a module, and the replacement takes the same arguments.

Shapes: B batch | H W pixels | h w patch grid | D encoder width | C decoder width
        stages 0..3 = a quarter, a half, one and two patches per cell
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Optional

import torch.nn.functional as F
from torch import Tensor, nn

HEAD_DIM = 32


class Interpolate(nn.Module):
    """Bilinear, to a (height, width). `align_corners` as torch has it."""

    def __init__(self, align_corners: bool = True) -> None:
        super().__init__()
        self.align_corners = align_corners

    def forward(self, x: Tensor, size: tuple[int, int]) -> Tensor:  # [B,C,.,.] -> [B,C,*size]
        return F.interpolate(x, size=size, mode="bilinear", align_corners=self.align_corners)


class ResidualUnit(nn.Module):
    """Two convolutions with a shortcut."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(dim, dim, 3, padding=1)
        self.conv2 = nn.Conv2d(dim, dim, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv2(F.relu(self.conv1(F.relu(x))))


class Fusion(nn.Module):
    """Add a stage to the running map, then resize to the next stage, of `out_dim` channels."""

    def __init__(self, dim: int, has_skip: bool, out_dim: int) -> None:
        super().__init__()
        self.skip_unit = ResidualUnit(dim) if has_skip else None
        self.unit = ResidualUnit(dim)
        self.upsample: nn.Module = Interpolate()
        self.project = nn.Conv2d(dim, out_dim, 1)

    def forward(self, x: Tensor, size: tuple[int, int], skip: Optional[Tensor] = None) -> Tensor:
        if self.skip_unit is not None:
            x = x + self.skip_unit(skip)
        return self.project(self.upsample(self.unit(x), size))


class Pyramid(nn.Module):
    """From four token maps to four feature maps, one per stage, of equal width."""

    def __init__(self, embed_dim: int, dim: int, stage_dims: Sequence[int]) -> None:
        super().__init__()
        self.embed_dim = embed_dim
        first, second, _, last = stage_dims
        self.project = nn.ModuleList([nn.Conv2d(embed_dim, d, 1) for d in stage_dims])
        self.resize = nn.ModuleList(
            [
                nn.ConvTranspose2d(first, first, 4, stride=4),
                nn.ConvTranspose2d(second, second, 2, stride=2),
                nn.Identity(),
                nn.Conv2d(last, last, 3, stride=2, padding=1),
            ]
        )
        self.adapt = nn.ModuleList(
            [nn.Conv2d(d, dim, 3, padding=1, bias=False) for d in stage_dims]
        )

    def forward(self, features: Sequence[Tensor], h: int, w: int) -> list[Tensor]:
        """4 x [B,h*w,D] -> 4 x [B,C,.,.], the finest first."""
        return [self._stage(i, tokens, h, w) for i, tokens in enumerate(features)]

    def _stage(self, i: int, tokens: Tensor, h: int, w: int) -> Tensor:
        grid = tokens.transpose(1, 2).reshape(-1, self.embed_dim, h, w)
        return self.adapt[i](self.resize[i](self.project[i](grid)))


class Merge(nn.Module):
    """Fuse the four feature maps of a pyramid, from the coarsest to the finest.

    dim     channels of the finest map, and of the result
    widths  channels of the four maps, the finest first, in multiples of `dim`
    """

    def __init__(self, dim: int, widths: Sequence[int] = (1, 1, 1, 1)) -> None:
        super().__init__()
        finest, second, third, coarsest = (dim * width for width in widths)
        self.fuse3 = Fusion(coarsest, has_skip=False, out_dim=third)
        self.fuse2 = Fusion(third, has_skip=True, out_dim=second)
        self.fuse1 = Fusion(second, has_skip=True, out_dim=finest)
        self.fuse0 = Fusion(finest, has_skip=True, out_dim=finest)

    def forward(self, stages: Sequence[Tensor], h: int, w: int) -> Tensor:  # -> [B,C,8h,8w]
        s0, s1, s2, s3 = stages
        x = self.fuse3(s3, (h, w))
        x = self.fuse2(x, (2 * h, 2 * w), s2)
        x = self.fuse1(x, (4 * h, 4 * w), s1)
        return self.fuse0(x, (8 * h, 8 * w), s0)


class Exp(nn.Module):
    """e to the power of each value."""

    def forward(self, x: Tensor) -> Tensor:
        return x.exp()


class SigmoidTo(nn.Module):
    """Values from 0 to `largest`."""

    def __init__(self, largest: float) -> None:
        super().__init__()
        self.largest = largest

    def forward(self, x: Tensor) -> Tensor:
        return x.sigmoid() * self.largest


class Head(nn.Module):
    """From a feature map to a map of values; `activation` sets the range of the values."""

    def __init__(self, dim: int, activation: nn.Module) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(dim, HEAD_DIM, 3, padding=1)
        self.conv2 = nn.Conv2d(HEAD_DIM, 1, 1)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:  # [B,C/2,H,W] -> [B,H,W]
        return self.activation(self.conv2(F.relu(self.conv1(x)))).squeeze(1)


class Decoder(nn.Module):
    """From four token maps to one map per head.

    embed_dim   D, width of a token map
    dim         C
    stage_dims  channels of the four stages before they are brought to C
    heads       by the name of the output, its activation: `nn.ReLU()`, `Exp()`, `SigmoidTo(20.0)`
    """

    def __init__(
        self,
        embed_dim: int,
        dim: int,
        stage_dims: Sequence[int],
        heads: Mapping[str, nn.Module],
    ) -> None:
        super().__init__()
        self.embed_dim, self.token_maps = embed_dim, len(stage_dims)
        self.pyramid = Pyramid(embed_dim, dim, stage_dims)
        self.merge = Merge(dim)
        self.reduce = nn.Conv2d(dim, dim // 2, 3, padding=1)
        self.upsample: nn.Module = Interpolate()
        self.heads = nn.ModuleDict(
            {name: Head(dim // 2, activation) for name, activation in heads.items()}
        )

    def forward(
        self, features: Sequence[Tensor], h: int, w: int, size: tuple[int, int]
    ) -> list[Tensor]:
        """4 x [B,h*w,D] -> as many as there are heads x [B,H,W], of `size` = (H, W)."""
        x = self.reduce(self.merge(self.pyramid(features, h, w), h, w))
        x = self.upsample(x, size)
        return [head(x) for head in self.heads.values()]
