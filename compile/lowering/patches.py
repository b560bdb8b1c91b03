"""Image to patch tokens, as a convolution or as one matrix product.

Shapes: B batch | H W pixels | h w patch grid | D width
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from depth.family import PATCH_PX


class PatchEmbed(nn.Module):
    """Weight and bias of either form; channels are the second axis of the weight, or lead it."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.weight, self.bias = weight, bias


class PatchConvolution(PatchEmbed):
    """Kernel and stride of one patch. Weight [D,3,14,14]."""

    def forward(self, images: Tensor) -> Tensor:  # [B,3,H,W] -> [B,h*w,D]
        tokens = F.conv2d(images, self.weight, self.bias, stride=PATCH_PX)
        return tokens.flatten(2).transpose(1, 2)


class PatchMatmul(PatchEmbed):
    """The same sums as one product over 3*14*14 values. Weight [D,588]."""

    def __init__(self, weight: Tensor, bias: Tensor, grid: tuple[int, int]) -> None:
        super().__init__(weight, bias)
        self.grid = grid

    def forward(self, images: Tensor) -> Tensor:  # [B,3,H,W] -> [B,h*w,D]
        h, w = self.grid
        # Two transpositions of rank 4 do what one permutation of rank 6 would.
        rows = images.reshape(-1, 3, h, PATCH_PX * w * PATCH_PX).transpose(1, 2)
        cells = rows.reshape(-1, 3 * PATCH_PX, w, PATCH_PX).transpose(1, 2)  # [B*h,w,42,14]
        return F.linear(cells.reshape(-1, h * w, 3 * PATCH_PX**2), self.weight, self.bias)
