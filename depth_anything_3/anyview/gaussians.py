"""The decoder of Gaussians: for each pixel the numbers that a Gaussian is made of.

Upstream's GSDPT: the decoder of depth without LayerNorm, which also sees the image itself.
`depth/steps/gaussians.py` makes Gaussians of the numbers.

Shapes: V views | H W pixels | h w patch grid | D width of a token map | C decoder width
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from depth.network.dpt import HEAD_DIM, Interpolate, Merge
from depth.network.uv import added
from depth.sizes import Size
from depth.steps.gaussians import CHANNELS
from depth_anything_3.anyview.config import AnyViewConfig
from depth_anything_3.anyview.decoder import Positioned, PositionedPyramid


class GaussianDecoder(nn.Module):
    """The parameters; `GaussianStage` shares them."""

    def __init__(self, config: AnyViewConfig) -> None:
        super().__init__()
        self.embed_dim, dim = 2 * config.embed_dim, config.decoder_dim
        self.stage_dims, self.dim = config.stage_dims, dim
        self.pyramid = PositionedPyramid(self.embed_dim, dim, config.stage_dims)
        self.merge = Merge(dim)
        self.reduce = nn.Conv2d(dim, dim // 2, 3, padding=1)
        self.upsample: nn.Module = Interpolate()
        widths = (3, dim // 8, dim // 4, dim // 2)
        pairs = zip(widths, widths[1:])
        self.picture = nn.ModuleList([nn.Conv2d(a, b, 3, padding=1) for a, b in pairs])
        self.conv1 = nn.Conv2d(dim // 2, HEAD_DIM, 3, padding=1)
        self.conv2 = nn.Conv2d(HEAD_DIM, CHANNELS + 1, 1)


class GaussianStage(Positioned):
    """Features and images to Gaussians as numbers, each view alone, at a fixed size."""

    def __init__(self, decoder: GaussianDecoder, grid: tuple[int, int], size: Size) -> None:
        super().__init__()
        self.grid, self.size, self.embed_dim = grid, size, decoder.embed_dim
        self.pyramid, self.merge, self.reduce = decoder.pyramid, decoder.merge, decoder.reduce
        self.upsample, self.picture = decoder.upsample, decoder.picture
        self.conv1, self.conv2 = decoder.conv1, decoder.conv2
        maps = [*((dim, grid) for dim in decoder.stage_dims), (decoder.dim // 2, size)]
        self.settle(maps, size, decoder.conv1.weight.device)

    def forward(self, features: Tensor, images: Tensor) -> tuple[Tensor, Tensor]:
        """[V,h*w,4*D], [V,3,H,W] -> numbers [V,H,W,37], opacities [V,H,W] from 0 to 1."""
        (h, w), dim = self.grid, self.embed_dim
        *of_stages, of_picture = self.uv()
        maps = [features[..., i * dim : (i + 1) * dim] for i in range(len(of_stages))]
        x = self.reduce(self.merge(self.pyramid(maps, h, w, of_stages), h, w))
        x = self.upsample(x, self.size)
        for convolution in self.picture:
            images = F.gelu(convolution(images))
        x = self.conv2(F.relu(self.conv1(added(x + images, of_picture)))).permute(0, 2, 3, 1)
        return x[..., :CHANNELS], x[..., CHANNELS].sigmoid()
