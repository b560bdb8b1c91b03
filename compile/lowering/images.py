"""What is put in where images enter a network: normalisation, and images in float16.

Shapes: B batch | H W pixels
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from depth.artifact.steps import Normalise
from depth.network.convolution import ImageInput


class NormalisingInput(ImageInput):
    """In the place of `ImageInput`: takes RGB 0..255 and normalises it.

    The first layer pads with zeros, which are the mean colour after the normalisation. So the
    factors cannot become part of that layer's weights.
    """

    factor: Tensor
    shift: Tensor

    def __init__(self, step: Normalise) -> None:
        super().__init__()
        mean, std = (torch.tensor(v, dtype=torch.float64) for v in (step.mean, step.std))
        self.register_buffer("factor", (1 / (255 * std)).float().reshape(1, -1, 1, 1))
        self.register_buffer("shift", (-mean / std).float().reshape(1, -1, 1, 1))

    def forward(self, images: Tensor) -> Tensor:  # [B,3,H,W] -> the same
        return images * self.factor + self.shift


class FromHalf(nn.Module):
    """Around a patch embedding or an image input: images in float16 become float32, the first
    operator of a program.

    Images in float32 are rounded to float16, as the caller of the program rounds them.
    """

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, images: Tensor, *grid: int) -> Tensor:  # [B,3,H,W] -> as `inner` gives
        half = images if images.dtype == torch.float16 else images.half()
        result: Tensor = self.inner(half.float(), *grid)
        return result
