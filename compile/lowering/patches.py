"""Image to patch tokens as one matrix product.

Shapes: B batch | H W pixels | h w patch grid | D width
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from depth.network.vit import PatchConvolution


class PatchMatmul(nn.Linear):
    """In the place of `PatchConvolution`: the same sums as one product over 3*14*14 values.

    Weight [D,588].
    """

    def __init__(self, convolution: PatchConvolution) -> None:
        weight = convolution.weight
        super().__init__(weight[0].numel(), len(weight), device="meta")  # its values go at once
        self.weight = nn.Parameter(weight.flatten(1), requires_grad=False)
        self.bias = convolution.bias  # type: ignore[assignment]
        self.patch_px = convolution.patch_px

    def forward(  # type: ignore[override]
        self, images: Tensor, h: int, w: int
    ) -> Tensor:  # [B,3,H,W] -> [B,h*w,D]
        side = self.patch_px
        # Two transpositions of rank 4 do what one permutation of rank 6 would.
        rows = images.reshape(-1, 3, h, side * w * side).transpose(1, 2)
        cells = rows.reshape(-1, 3 * side, w, side).transpose(1, 2)  # [B*h,w,3*side,side]
        return F.linear(cells.reshape(-1, h * w, 3 * side**2), self.weight, self.bias)
