"""MiDaS v2.1 small: an EfficientNet-Lite encoder and a decoder that widens with the stages."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from depth.errors import InputError
from depth.family import DEPTH, Model
from depth.network.base import Network
from depth.network.convolution import ImageInput
from depth.network.dpt import HEAD_DIM, Head, Interpolate, Merge
from depth.sizes import Size
from midas.config import SmallConfig
from midas.efficientnet import EfficientNet


class Adapt(nn.Module):
    """The four feature maps, each in the decoder's width of its stage."""

    def __init__(self, dims: Sequence[int], to: Sequence[int]) -> None:
        super().__init__()
        self.adapt = nn.ModuleList(
            [nn.Conv2d(dim, out, 3, padding=1, bias=False) for dim, out in zip(dims, to)]
        )

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        return [adapt(x) for adapt, x in zip(self.adapt, features)]


class SmallDecoder(nn.Module):
    """From four feature maps to inverse depth."""

    def __init__(self, config: SmallConfig) -> None:
        super().__init__()
        dims, finest = config.decoder_dims, config.decoder_dims[0]
        self.pyramid = Adapt([config.stages[tap].channels for tap in config.taps], dims)
        self.merge = Merge(finest, [dim // finest for dim in dims])
        self.reduce = nn.Conv2d(finest, HEAD_DIM, 3, padding=1)
        self.upsample: nn.Module = Interpolate(align_corners=False)
        self.heads = nn.ModuleDict({DEPTH: Head(HEAD_DIM, nn.ReLU())})

    def forward(self, features: Sequence[Tensor], size: Size) -> Tensor:
        """4 x [B,C,.,.] -> [B,H,W], of `size` = (H, W)."""
        height, width = size
        x = self.reduce(self.merge(self.pyramid(features), height // 16, width // 16))
        depth: Tensor = self.heads[DEPTH](self.upsample(x, size))
        return depth


class MidasSmall(Network):
    """Image [B,3,H,W] to depth [B,H,W]: inverse depth >= 0. H and W are multiples of 32."""

    def __init__(self, model: Model) -> None:
        super().__init__(model)
        self.images: nn.Module = ImageInput()
        self.encoder = EfficientNet(model.config)
        self.decoder = SmallDecoder(model.config)

    def fix_size(self, height_px: int, width_px: int) -> None:
        """No weight depends on the size: calls then take images of this size only."""
        self.check_movable((height_px, width_px))
        self.size = (height_px, width_px)

    def stage(self, name: str, views: int = 1) -> nn.Module:  # noqa: ARG002 - one view only
        """This network is always run whole. Raises InputError."""
        raise InputError(f"no stage {name!r}: {self.model.name} is run whole")

    def forward(self, images: Tensor) -> Tensor:  # [B,3,H,W] -> [B,H,W]
        size = self.size_of(images)
        depth: Tensor = self.decoder(self.encoder(self.images(images)), size)
        return depth
