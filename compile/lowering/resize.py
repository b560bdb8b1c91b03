"""Bilinear resizing in two exact variants made of products.

Shapes: B batch | C channels | H W before | H' W' after
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from depth.network.dpt import Interpolate

Size = tuple[int, int]  # (height, width)


class ProductResize(nn.Module):
    """In the place of `Interpolate`, from one fixed size to another: holds the two constant
    matrices and the order that costs less.
    """

    rows: Tensor
    columns: Tensor

    def __init__(self, in_size: Size, out_size: Size, align_corners: bool = True) -> None:
        super().__init__()
        (h, w), (height, width) = in_size, out_size
        self.register_buffer("rows", interpolation(h, height, align_corners))
        self.register_buffer("columns", interpolation(w, width, align_corners))
        # Multiply-accumulates per channel of either order.
        self.columns_first = (
            w * h * width + h * height * width < h * w * height + w * width * height
        )


class MatmulResize(ProductResize):
    """rows @ x @ columns^T, channel by channel."""

    def __init__(self, in_size: Size, out_size: Size, align_corners: bool = True) -> None:
        super().__init__(in_size, out_size, align_corners)
        self.columns = self.columns.t().contiguous()

    def forward(self, x: Tensor, size: Size) -> Tensor:  # noqa: ARG002 - [B,C,H,W] -> [B,C,H',W']
        if self.columns_first:
            return self.rows @ (x @ self.columns)
        return (self.rows @ x) @ self.columns


class ConvolutionResize(ProductResize):
    """The same products as 1x1 convolutions, the resized axis in the place of the channels."""

    def __init__(self, in_size: Size, out_size: Size, align_corners: bool = True) -> None:
        super().__init__(in_size, out_size, align_corners)
        self.rows = self.rows[:, :, None, None]
        self.columns = self.columns[:, :, None, None]

    def forward(self, x: Tensor, size: Size) -> Tensor:  # noqa: ARG002 - [B,C,H,W] -> [B,C,H',W']
        if self.columns_first:
            x = F.conv2d(x.transpose(1, 3), self.columns)  # [B,W',H,C]
            x = F.conv2d(x.transpose(1, 2), self.rows)  # [B,H',W',C]
            return x.permute(0, 3, 1, 2)
        x = F.conv2d(x.transpose(1, 2), self.rows)  # [B,H',C,W]
        x = F.conv2d(x.transpose(1, 3), self.columns)  # [B,W',C,H']
        return x.permute(0, 2, 3, 1)


def interpolation(before: int, after: int, align_corners: bool = True) -> Tensor:
    """Weights [after,before], float32: what torch's own operator makes of unit vectors.

    Computed any better they would differ from it by up to 1e-4: torch finds the places of its
    samples in float32, and not in the same way in every release.
    """
    units = torch.eye(before)[None, None]  # [1,1,before,before]
    resized: Tensor = Interpolate(align_corners)(units, (after, before))
    return resized[0, 0]
