"""Fusions whose 1x1 convolution comes before the resize.

Shapes: B batch | C channels | H W before | H' W' after
"""

from __future__ import annotations

from typing import Optional

from torch import Tensor, nn

from depth.network.dpt import Fusion


class ProjectingFirst(nn.Module):
    """In the place of `Fusion`: the same sums in another order, over a quarter of the pixels.

    Each row of a resize adds up to 1, so the bias of the convolution passes it unchanged.
    """

    def __init__(self, fusion: Fusion) -> None:
        super().__init__()
        self.skip_unit, self.unit = fusion.skip_unit, fusion.unit
        self.project, self.upsample = fusion.project, fusion.upsample

    def forward(self, x: Tensor, size: tuple[int, int], skip: Optional[Tensor] = None) -> Tensor:
        """[B,C,H,W] -> [B,C',H',W'] for `size` = (H', W')."""
        if self.skip_unit is not None:
            x = x + self.skip_unit(skip)
        result: Tensor = self.upsample(self.project(self.unit(x)), size)
        return result
