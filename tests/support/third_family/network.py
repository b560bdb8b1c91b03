"""The third family's network."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from depth.errors import InputError
from depth.family import Model
from depth.network.base import Network


class Third(Network):
    """Convolutions at an eighth of the size. Depth [B,H,W] > 0, confidence [B,H/2,W/2] > 1."""

    def __init__(self, model: Model) -> None:
        super().__init__(model)
        width: int = model.config
        self.down1 = nn.Conv2d(3, width, 3, stride=2, padding=1)
        self.down2 = nn.Conv2d(width, 2 * width, 3, stride=4, padding=1)
        self.up1 = nn.ConvTranspose2d(2 * width, width, 4, stride=4)
        self.up2 = nn.ConvTranspose2d(width, 1, 2, stride=2)
        self.sure = nn.Conv2d(width, 1, 1)

    def fix_size(self, height_px: int, width_px: int) -> None:
        self.model.size.check((height_px, width_px))
        self.size = (height_px, width_px)

    def stage(self, name: str) -> nn.Module:
        raise InputError(f"this network has no stage {name!r}")

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        near = F.relu(self.down1(images))  # [B,C,H/2,W/2]
        x = near + F.relu(self.up1(F.relu(self.down2(near))))
        return self.up2(x).exp().squeeze(1), 1 + self.sure(x).exp().squeeze(1)


def build(model: Model) -> Third:
    return Third(model)
