"""The position embedding, as a constant or resampled in the graph.

Shapes: N = 1 + h*w tokens | D width
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from depth.network.vit import fit_pos_embed


class FixedPosition(nn.Module):
    """A constant, the class token added."""

    position: Tensor

    def __init__(self, position: Tensor) -> None:
        super().__init__()
        self.register_buffer("position", position)

    def forward(self) -> Tensor:  # [1,N,D]
        return self.position


class ResampledPosition(nn.Module):
    """Resampled at every call, as the published network does it: bicubic off the 37x37 grid."""

    def __init__(
        self, pos_embed: nn.Parameter, cls_token: nn.Parameter, grid: tuple[int, int]
    ) -> None:
        super().__init__()
        self.pos_embed, self.cls_token = pos_embed, cls_token
        self.grid = grid

    def forward(self) -> Tensor:  # [1,N,D]
        position = fit_pos_embed(self.pos_embed, *self.grid)
        return torch.cat((position[:, :1] + self.cls_token, position[:, 1:]), dim=1)
