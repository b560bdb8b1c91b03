"""Upstream's Python API on our network: `from depth_anything_v2.dpt import DepthAnythingV2`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Optional

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from depth.errors import InputError
from depth.maps.result import FloatArray
from depth.network.drop_in import DropIn
from depth.network.single_view import SingleView
from depth.postprocess import resize_depth
from depth.preprocess import Preparation
from depth_anything_v2.config import CONFIGS, SIZE, model_row
from depth_anything_v2.network import build


class DepthAnythingV2(DropIn):
    """Drop-in for the class of the same name in DepthAnything/Depth-Anything-V2.

    Takes upstream's arguments and checkpoints and gives upstream's numbers. `max_depth` makes the
    metric model (metres), as in upstream's metric_depth/; without it the output is relative
    inverse depth. `use_bn` and `use_clstoken` fit no published checkpoint and are refused.

    A call changes nothing on the object: calls may come from several threads, at any sizes. A
    change of the weights takes effect at the next call.

    Raises InputError for arguments that fit no network.
    """

    network: SingleView

    def __init__(
        self,
        encoder: str = "vitl",
        features: int = 256,
        out_channels: Sequence[int] = (256, 512, 1024, 1024),
        use_bn: bool = False,
        use_clstoken: bool = False,
        max_depth: Optional[float] = None,
    ) -> None:
        if use_bn or use_clstoken:
            raise InputError("use_bn and use_clstoken: no published checkpoint has them; leave out")
        if encoder not in CONFIGS:
            raise InputError(f"encoder {encoder!r}: choose from {', '.join(CONFIGS)}")
        if len(out_channels) != 4:
            raise InputError(f"out_channels {tuple(out_channels)}: expected four numbers")
        c0, c1, c2, c3 = out_channels
        config = replace(CONFIGS[encoder], decoder_dim=features, stage_dims=(c0, c1, c2, c3))
        super().__init__(build(model_row(encoder, config, max_depth)))
        self.encoder = encoder
        self.max_depth = max_depth
        self.intermediate_layer_idx = {name: list(row.taps) for name, row in CONFIGS.items()}

    @property
    def pretrained(self) -> nn.Module:
        """Upstream's name of the encoder."""
        return self.network.encoder

    @property
    def depth_head(self) -> nn.Module:
        """Upstream's name of the decoder."""
        return self.network.decoder

    def forward(self, x: Tensor) -> Tensor:  # [B,3,H,W] -> [B,H,W]; H, W multiples of 14
        depth: Tensor = self.network(x)
        return depth

    @torch.no_grad()
    def infer_image(
        self, raw_image: npt.NDArray[np.uint8], input_size: int = SIZE.side_px
    ) -> FloatArray:
        """Depth [H,W] float32 of an image [H,W,3] uint8, BGR as OpenCV reads it."""
        image, size = self.image2tensor(raw_image, input_size)
        return resize_depth(self(image)[0].float().cpu().numpy(), size)

    def image2tensor(
        self, raw_image: npt.NDArray[np.uint8], input_size: int = SIZE.side_px
    ) -> tuple[Tensor, tuple[int, int]]:
        """The network input [1,3,h,w] on the module's device, and the image's own (H, W).

        Raises InputError for what is no image.
        """
        if not isinstance(raw_image, np.ndarray) or raw_image.ndim != 3:
            what = getattr(raw_image, "shape", type(raw_image).__name__)
            raise InputError(
                f"raw_image is {what}, expected an array [H,W,3] uint8; cv2.imread gives None for "
                "a file that it cannot read"
            )
        height, width = raw_image.shape[:2]
        rule = replace(SIZE, side_px=input_size)
        prepare = Preparation(self.network.model.before, rule)
        image = torch.from_numpy(prepare(raw_image, rule.size_for(height, width)))
        return image.to(next(self.parameters()).device), (height, width)
