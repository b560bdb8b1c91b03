"""Upstream's Python API on our network: `from depth_anything_v2.dpt import DepthAnythingV2`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Optional

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from depth.errors import InputError
from depth.maps.result import FloatArray
from depth.postprocess import resize_depth
from depth.preprocess import prepare
from depth.sizes import SHORT_SIDE_PX, exact_size
from depth_anything_v2.config import CONFIGS
from depth_anything_v2.layouts import load_weights
from depth_anything_v2.network import DepthAnything


class DepthAnythingV2(nn.Module):
    """Drop-in for the class of the same name in DepthAnything/Depth-Anything-V2.

    Takes upstream's arguments and checkpoints and gives upstream's numbers. `max_depth` makes the
    metric model (metres), as in upstream's metric_depth/; without it the output is relative
    inverse depth. `use_bn` and `use_clstoken` fit no published checkpoint and are refused.

    Raises InputError for arguments that no network has.
    """

    def __init__(
        self,
        encoder: str = "vitl",
        features: int = 256,
        out_channels: Sequence[int] = (256, 512, 1024, 1024),
        use_bn: bool = False,
        use_clstoken: bool = False,
        max_depth: Optional[float] = None,
    ) -> None:
        super().__init__()
        if use_bn or use_clstoken:
            raise InputError("use_bn and use_clstoken: no published checkpoint has them; leave out")
        if encoder not in CONFIGS:
            raise InputError(f"encoder {encoder!r}: choose from {', '.join(CONFIGS)}")
        if len(out_channels) != 4:
            raise InputError(f"out_channels {tuple(out_channels)}: expected four numbers")
        c0, c1, c2, c3 = out_channels
        config = replace(CONFIGS[encoder], decoder_dim=features, stage_dims=(c0, c1, c2, c3))
        self.encoder = encoder
        self.max_depth = max_depth
        self.network = DepthAnything(config, max_depth)

    def load_state_dict(self, state_dict: Mapping[str, Any], *_: Any, **__: Any) -> Any:
        """Load a checkpoint of any known layout, or this module's own state dict.

        Always strict: raises CheckpointError that names the keys that do not fit.
        """
        own = {k[len("network.") :]: v for k, v in state_dict.items() if k.startswith("network.")}
        load_weights(self.network, own or state_dict, "the state dict")
        self.network.fix_size(*self.network.size)
        return nn.modules.module._IncompatibleKeys([], [])

    def forward(self, x: Tensor) -> Tensor:  # [B,3,H,W] -> [B,H,W]; H, W multiples of 14
        size = (int(x.shape[-2]), int(x.shape[-1]))
        if size != self.network.size:
            self.network.fix_size(*size)
        return self.network(x)

    @torch.no_grad()
    def infer_image(
        self, raw_image: npt.NDArray[np.uint8], input_size: int = SHORT_SIDE_PX
    ) -> FloatArray:
        """Depth [H,W] float32 of an image [H,W,3] uint8, BGR as OpenCV reads it."""
        image, size = self.image2tensor(raw_image, input_size)
        return resize_depth(self(image)[0].float().cpu().numpy(), size)

    def image2tensor(
        self, raw_image: npt.NDArray[np.uint8], input_size: int = SHORT_SIDE_PX
    ) -> tuple[Tensor, tuple[int, int]]:
        """The network input [1,3,h,w] on the module's device, and the image's own (H, W)."""
        height, width = raw_image.shape[:2]
        image = prepare(raw_image, exact_size(height, width, input_size))
        device = self.network.encoder.cls_token.device
        return torch.from_numpy(image).to(device), (height, width)
