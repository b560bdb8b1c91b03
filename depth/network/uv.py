"""Where in the picture a value is, as sines and cosines that are added to a feature map.

The embedding of a column and that of a row fill different channels, so two small constants say
everything: adding both is exact, since each is zero where the other is not.

Shapes: V views | D channels, a multiple of 4 | h w grid of the map
"""

from __future__ import annotations

import torch
from torch import Tensor

BASE = 100.0
GAIN = 0.1

Uv = tuple[Tensor, Tensor]  # [1,D,1,w] of the columns, [1,D,h,1] of the rows


def uv_embedding(dim: int, grid: tuple[int, int], aspect: float, device: torch.device) -> Uv:
    """The constants for a map of `dim` channels on a (height, width) grid.

    aspect  width / height of the picture in px: the diagonal of the picture has length 2
    """
    (h, w), diagonal = grid, (aspect**2 + 1.0) ** 0.5
    across = _waves(dim // 2, w, aspect / diagonal, device)  # [D/2,w]
    down = _waves(dim // 2, h, 1.0 / diagonal, device)  # [D/2,h]
    columns = torch.cat((across, torch.zeros_like(across)))[None, :, None, :]
    rows = torch.cat((torch.zeros_like(down), down))[None, :, :, None]
    return columns, rows


def added(x: Tensor, uv: Uv) -> Tensor:  # [V,D,h,w] -> [V,D,h,w]
    """A map with its embedding."""
    columns, rows = uv
    return x + columns + rows


def _waves(dim: int, cells: int, span: float, device: torch.device) -> Tensor:  # [dim,cells]
    """Sine and cosine of the centres of the cells, which lie between -span and span."""
    end = span * (cells - 1) / cells
    centres = torch.linspace(-end, end, steps=cells, dtype=torch.float32, device=device)
    exponents = torch.arange(dim // 2, dtype=torch.float32, device=device) / (dim / 2.0)
    angles = (1.0 / BASE**exponents)[:, None] * centres
    return torch.cat((angles.sin(), angles.cos())) * GAIN
