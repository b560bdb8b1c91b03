"""The decoder of any number of views: depth and confidence, and rays when they are asked for.

Upstream's DualDPT without the three levels of its ray branch whose values it throws away.

Shapes: V views | H W pixels | h w patch grid | D width of a token map | C decoder width
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from depth.network.dpt import HEAD_DIM, Interpolate, Merge, Pyramid
from depth.network.uv import Uv, added, uv_embedding
from depth.sizes import Size
from depth_anything_3.anyview.config import NORM_EPS, AnyViewConfig

RAY_CHANNELS = 6  # direction, then origin
_NECK = 5  # convolutions in a row


class PositionedPyramid(Pyramid):
    """A pyramid that adds to each stage where in the picture a value is."""

    def forward(  # type: ignore[override]
        self, features: Sequence[Tensor], h: int, w: int, uv: Sequence[Uv]
    ) -> list[Tensor]:
        """4 x [V,h*w,D] -> 4 x [V,C,.,.], the finest first."""
        stages = []
        for i, tokens in enumerate(features):
            grid = tokens.transpose(1, 2).reshape(-1, self.embed_dim, h, w)
            positioned = added(self.project[i](grid), uv[i])
            stages.append(self.adapt[i](self.resize[i](positioned)))
        return stages


class DepthBranch(nn.Module):
    """From a feature map to depth over 0 and confidence over 1."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(dim, HEAD_DIM, 3, padding=1)
        self.conv2 = nn.Conv2d(HEAD_DIM, 2, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:  # [V,C/2,H,W] -> 2 x [V,H,W]
        logits = self.conv2(F.relu(self.conv1(x)))
        return logits[:, 0].exp(), logits[:, 1].exp() + 1.0


class RayBranch(nn.Module):
    """From the stages of the pyramid to a ray per cell of an 8h x 8w grid, and its confidence."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.merge = Merge(dim)
        widths = [dim if i % 2 == 0 else dim // 2 for i in range(_NECK + 1)]
        pairs = zip(widths, widths[1:])
        self.neck = nn.Sequential(*(nn.Conv2d(a, b, 3, padding=1) for a, b in pairs))
        self.conv1 = nn.Conv2d(dim // 2, HEAD_DIM, 3, padding=1)
        self.norm = nn.LayerNorm(HEAD_DIM, eps=NORM_EPS)
        self.conv2 = nn.Conv2d(HEAD_DIM, RAY_CHANNELS + 1, 1)

    def forward(
        self, stages: Sequence[Tensor], h: int, w: int, uv: Uv
    ) -> tuple[Tensor, Tensor]:  # -> [V,8h,8w,6], [V,8h,8w]
        x = self.conv1(added(self.neck(self.merge(stages, h, w)), uv))
        x = self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        values = self.conv2(F.relu(x)).permute(0, 2, 3, 1)
        return values[..., :RAY_CHANNELS], values[..., RAY_CHANNELS].exp() + 1.0


class DualDecoder(nn.Module):
    """The parameters of the head; `HeadStage` shares them."""

    def __init__(self, config: AnyViewConfig) -> None:
        super().__init__()
        self.embed_dim, dim = 2 * config.embed_dim, config.decoder_dim
        self.stage_dims, self.dim = config.stage_dims, dim
        self.norm = nn.LayerNorm(self.embed_dim, eps=NORM_EPS)
        self.pyramid = PositionedPyramid(self.embed_dim, dim, config.stage_dims)
        self.merge = Merge(dim)
        self.reduce = nn.Conv2d(dim, dim // 2, 3, padding=1)
        self.upsample: nn.Module = Interpolate()
        self.depth = DepthBranch(dim // 2)
        self.rays = RayBranch(dim)


class Positioned(nn.Module):
    """A stage at a fixed size, with the constants that say where in the picture a value is."""

    def settle(
        self, maps: Sequence[tuple[int, tuple[int, int]]], size: Size, device: torch.device
    ) -> None:
        """For maps with these numbers of channels, each on a (height, width) grid."""
        self._count = len(maps)
        for i, (dim, cells) in enumerate(maps):
            columns, rows = uv_embedding(dim, cells, size[1] / size[0], device)
            self.register_buffer(f"columns{i}", columns, persistent=False)
            self.register_buffer(f"rows{i}", rows, persistent=False)

    def uv(self) -> list[Uv]:
        buffers: dict[str, Tensor] = self._buffers  # type: ignore[assignment]
        return [(buffers[f"columns{i}"], buffers[f"rows{i}"]) for i in range(self._count)]


class HeadStage(Positioned):
    """Features to maps, each view alone, at a fixed size.

    rays  also compute the branch of rays
    """

    def __init__(
        self, decoder: DualDecoder, grid: tuple[int, int], size: Size, rays: bool = False
    ) -> None:
        super().__init__()
        self.grid, self.size, self.embed_dim = grid, size, decoder.embed_dim
        self.norm, self.pyramid, self.merge = decoder.norm, decoder.pyramid, decoder.merge
        self.reduce, self.upsample, self.depth = decoder.reduce, decoder.upsample, decoder.depth
        self.rays = decoder.rays if rays else None
        (h, w), half = grid, decoder.dim // 2
        maps = [*((dim, grid) for dim in decoder.stage_dims), (half, size), (half, (8 * h, 8 * w))]
        self.settle(maps, size, decoder.norm.weight.device)

    def forward(self, features: Tensor) -> tuple[Tensor, ...]:
        """[V,h*w,4*D] -> depth, confidence [V,H,W]; with rays also [V,8h,8w,6], [V,8h,8w]."""
        (h, w), dim = self.grid, self.embed_dim
        *of_stages, of_picture, of_rays = self.uv()
        maps = [self.norm(features[..., i * dim : (i + 1) * dim]) for i in range(len(of_stages))]
        stages = self.pyramid(maps, h, w, of_stages)
        x = self.upsample(self.reduce(self.merge(stages, h, w)), self.size)
        found: tuple[Tensor, ...] = self.depth(added(x, of_picture))
        return found if self.rays is None else (*found, *self.rays(stages, h, w, of_rays))
