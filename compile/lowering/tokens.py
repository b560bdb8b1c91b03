"""The class token behind the patch tokens, so that the patch tokens begin at row 0.

Attention gives the same numbers for tokens in any order, and all other parts of a block work on
each token alone.

Shapes: B batch | h w patch grid | N = h*w + 1 tokens | D width
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ClassTokenLast(nn.Module):
    """In the place of `ClassTokenFirst`. The position's last row is that of the class token."""

    def forward(self, patches: Tensor, position: Tensor) -> Tensor:  # [B,h*w,D], [1,N,D] -> [B,N,D]
        return torch.constant_pad_nd(patches, (0, 0, 0, 1)) + position


class FirstTokens(nn.Module):
    """In the place of `PatchTokens`: drop the class token, which is the last token."""

    def forward(self, x: Tensor, tokens: int) -> Tensor:  # [B,N,D] -> [B,h*w,D]
        return x[:, : tokens - 1]


class LastToken(nn.Module):
    """In the place of `ClassToken`."""

    def forward(self, x: Tensor, tokens: int) -> Tensor:  # [B,N,D] -> [B,D]
        return x[:, tokens - 1]


class OtherClassTokenLast(nn.Module):
    """In the place of `OtherClassToken`."""

    def forward(self, token: Tensor, patches: Tensor) -> Tensor:  # [..,1,D], [..,h*w,D] -> [..,N,D]
        return torch.cat((patches, token), dim=-2)


def first_row_last(position: Tensor) -> Tensor:  # [1,N,D] -> [1,N,D]
    return torch.cat((position[:, 1:], position[:, :1]), dim=1)
