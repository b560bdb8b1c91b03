"""EfficientNet-Lite, inference only: the encoder of MiDaS v2.1 small.

Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", 2019. Lite:
ReLU6 in the place of swish, and no squeeze-and-excitation.

Shapes: B batch | C channels | H W pixels or cells
"""

from __future__ import annotations

from torch import Tensor, nn

from depth.network.convolution import BatchNorm, ConvolutionNorm, ReLU6, SameConvolution
from midas.config import SmallConfig, Stage


class Bottleneck(nn.Module):
    """Widen, convolve each channel by itself, narrow; a shortcut where the shape stays."""

    def __init__(self, in_dim: int, stage: Stage, stride: int, eps: float) -> None:
        super().__init__()
        inner = stage.expansion * in_dim
        self.expand = _layer(in_dim, inner, 1, eps) if stage.expansion > 1 else nn.Identity()
        self.depthwise = _layer(inner, inner, stage.kernel_px, eps, stride, groups=inner)
        self.project = _layer(inner, stage.channels, 1, eps, linear=True)
        self.shortcut = stride == 1 and in_dim == stage.channels

    def forward(self, x: Tensor) -> Tensor:  # [B,C,H,W] -> [B,C',H/stride,W/stride]
        y: Tensor = self.project(self.depthwise(self.expand(x)))
        return y + x if self.shortcut else y


class EfficientNet(nn.Module):
    """Image to feature maps, those after the stages in `config.taps`."""

    def __init__(self, config: SmallConfig) -> None:
        super().__init__()
        eps, self.taps = config.norm_eps, config.taps
        self.stem = _layer(3, config.stem, 3, eps, stride=2)
        self.stages = nn.ModuleList()
        dim = config.stem
        for stage in config.stages:
            self.stages.append(_blocks(dim, stage, eps))
            dim = stage.channels

    def forward(self, images: Tensor) -> list[Tensor]:
        """[B,3,H,W] -> [B,C,H/4,W/4], [B,C,H/8,W/8], [B,C,H/16,W/16], [B,C,H/32,W/32]."""
        x, features = self.stem(images), []
        for index, stage in enumerate(self.stages):
            x = stage(x)
            if index in self.taps:
                features.append(x)
        return features


def _blocks(dim: int, stage: Stage, eps: float) -> nn.Sequential:
    first = Bottleneck(dim, stage, stage.stride, eps)
    rest = [Bottleneck(stage.channels, stage, 1, eps) for _ in range(stage.blocks - 1)]
    return nn.Sequential(first, *rest)


def _layer(
    in_dim: int,
    dim: int,
    kernel_px: int,
    eps: float,
    stride: int = 1,
    groups: int = 1,
    linear: bool = False,
) -> ConvolutionNorm:
    convolution = SameConvolution(in_dim, dim, kernel_px, stride, groups)
    activation = nn.Identity() if linear else ReLU6()
    return ConvolutionNorm(convolution, BatchNorm(dim, eps), activation)
