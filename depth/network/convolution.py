"""Blocks of networks of convolutions, inference only.

Each step that a lowering pass may replace is a module, and the replacement takes the same
arguments. Shapes: B batch | C channels | H W before | H' W' after.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ImageInput(nn.Module):
    """Where images enter a network whose first layer is no patch embedding: does nothing."""

    def forward(self, images: Tensor) -> Tensor:  # [B,3,H,W] -> the same
        return images


class BatchNorm(nn.Module):
    """BatchNorm by the statistics of the training (Ioffe and Szegedy, 2015)."""

    def __init__(self, dim: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(dim))
        self.bias = nn.Parameter(torch.zeros(dim))
        self.register_buffer("running_mean", torch.zeros(dim))
        self.register_buffer("running_var", torch.ones(dim))

    running_mean: Tensor
    running_var: Tensor

    def forward(self, x: Tensor) -> Tensor:  # [B,C,H,W] -> the same
        return F.batch_norm(
            x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
        )


class GroupNorm(nn.GroupNorm):
    """GroupNorm (Wu and He, 2018) that can be traced: torch's module asks for the batch size."""

    def forward(self, x: Tensor) -> Tensor:  # [B,C,H,W] -> the same
        return torch.group_norm(x, self.num_groups, self.weight, self.bias, self.eps)


class CentredGroupNorm(GroupNorm):
    """The same, for values far from 0: each group first loses its mean, which changes nothing else.

    Runtimes take the variance as a difference of sums, and an even image has nearly none. OpenVINO
    and ONNX Runtime were off by 1e-4 there, and are by 2e-5 with this.
    """

    zeros: Tensor  # [1,1,C/groups]: adding them spreads a mean to every channel of its group

    def __init__(self, groups: int, dim: int) -> None:
        super().__init__(groups, dim)
        self.register_buffer("zeros", torch.zeros(1, 1, dim // groups), persistent=False)

    def forward(self, x: Tensor) -> Tensor:  # [B,C,H,W] -> the same
        channels = x.mean((2, 3)).reshape(-1, self.num_groups, self.num_channels // self.num_groups)
        means = channels.mean(2, keepdim=True) + self.zeros
        return super().forward(x - means.reshape(-1, self.num_channels, 1, 1))


class ReLU6(nn.Module):
    """Values cut off below 0 and above 6."""

    def forward(self, x: Tensor) -> Tensor:
        return F.hardtanh(x, 0.0, 6.0)


class SameConvolution(nn.Conv2d):
    """A convolution with TensorFlow's padding "same", for sides that are multiples of the stride.

    For these sides the padding does not depend on them: kernel - stride, the odd pixel at the end.
    """

    def __init__(
        self, in_dim: int, dim: int, kernel_px: int, stride: int = 1, groups: int = 1
    ) -> None:
        total = max(0, kernel_px - stride)
        before, after = total // 2, total - total // 2
        even = before if before == after else 0
        super().__init__(
            in_dim, dim, kernel_px, stride=stride, padding=even, groups=groups, bias=False
        )
        self.pads = (before, after, before, after) if before != after else ()

    def forward(self, x: Tensor) -> Tensor:  # [B,C,H,W] -> [B,C',H/stride,W/stride]
        return super().forward(torch.constant_pad_nd(x, self.pads) if self.pads else x)


class ConvolutionNorm(nn.Module):
    """Convolution without bias, then BatchNorm or GroupNorm, then `activation`."""

    def __init__(self, convolution: nn.Conv2d, norm: nn.Module, activation: nn.Module) -> None:
        super().__init__()
        self.convolution, self.norm, self.activation = convolution, norm, activation

    def forward(self, x: Tensor) -> Tensor:  # [B,C,H,W] -> [B,C',H',W']
        return self.activation(self.norm(self.convolution(x)))
