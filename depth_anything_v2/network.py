"""The network: image to depth at one fixed size."""

from __future__ import annotations

from typing import Optional

from torch import Tensor, nn

from depth.family import NATIVE_GRID, PATCH_PX
from depth.network.dpt import Decoder
from depth.network.vit import Encoder
from depth.sizes import check_size
from depth_anything_v2.config import ModelConfig


class DepthAnything(nn.Module):
    """Depth Anything V2 (Yang et al., 2024): DINOv2 encoder, DPT decoder.

    Built at 518x518. `fix_size` moves it to another size in place, in ordinary Python, so that
    forward is tensor work only and traces without warnings.
    """

    def __init__(self, config: ModelConfig, max_depth_m: Optional[float] = None) -> None:
        super().__init__()
        self.encoder = Encoder(config)
        self.decoder = Decoder(config, max_depth_m)
        self.size = (0, 0)
        self.fix_size(NATIVE_GRID * PATCH_PX, NATIVE_GRID * PATCH_PX)

    def fix_size(self, height_px: int, width_px: int) -> None:
        """Settle grid, position embedding and output size. Again after new weights are loaded.

        Raises InputError unless both sides are positive multiples of 14 px within the limit.
        """
        check_size(height_px, width_px)
        self.size = (height_px, width_px)
        self.encoder.fix_size(height_px // PATCH_PX, width_px // PATCH_PX)
        self.decoder.fix_size(height_px // PATCH_PX, width_px // PATCH_PX)

    def forward(self, images: Tensor) -> Tensor:  # [B,3,H,W] -> [B,H,W]
        return self.decoder(self.encoder(images))
