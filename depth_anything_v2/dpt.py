"""Upstream's Python API on our network: `from depth_anything_v2.dpt import DepthAnythingV2`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Optional

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from depth.errors import InputError
from depth.maps.result import FloatArray
from depth.network.drop_in import DropIn
from depth.postprocess import resize_depth
from depth.preprocess import Preparation
from depth.weights.wrappings import unwrapped
from depth_anything_v2.config import CONFIGS, SIZE, model_row
from depth_anything_v2.dinov2 import DinoVisionTransformer
from depth_anything_v2.head import DPTHead, check_plain
from depth_anything_v2.network import DepthAnything, build

__all__ = ["DPTHead", "DepthAnythingV2"]


_PART = {"encoder": "pretrained", "decoder": "depth_head"}
UNUSED = (
    "pretrained.mask_token",
    *(
        f"depth_head.scratch.refinenet4.resConfUnit1.{conv}.{kind}"
        for conv in ("conv1", "conv2")
        for kind in ("weight", "bias")
    ),
)


class DepthAnythingV2(DropIn):
    """Drop-in for the class of the same name in DepthAnything/Depth-Anything-V2.

    Takes upstream's arguments and checkpoints and gives upstream's numbers. `max_depth` makes the
    metric model (metres), as in upstream's metric_depth/; without it the output is relative
    inverse depth. `use_bn` and `use_clstoken` fit no published checkpoint and are refused.

    State dict, parameters and modules have upstream's names. `pretrained` and `depth_head` can be
    called as upstream's.

    A call changes nothing on the object: calls may come from several threads, at any sizes. A
    change of the weights takes effect at the next call.

    Raises InputError for arguments that fit no network.
    """

    network: DepthAnything

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
        check_plain(use_bn, use_clstoken, out_channels)
        if encoder not in CONFIGS:
            raise InputError(f"encoder {encoder!r}: choose from {', '.join(CONFIGS)}")
        c0, c1, c2, c3 = out_channels
        config = replace(CONFIGS[encoder], decoder_dim=features, stage_dims=(c0, c1, c2, c3))
        self.encoder = encoder
        self.max_depth = max_depth
        self.intermediate_layer_idx = {name: list(row.taps) for name, row in CONFIGS.items()}
        network = build(model_row(encoder, config, max_depth))
        # The same modules as of the two parts, which torch knows: so all names are upstream's.
        object.__setattr__(self, "network", network)
        self.pretrained = DinoVisionTransformer(network.encoder, config.num_heads)
        self.depth_head = DPTHead(
            config.embed_dim, features, out_channels=out_channels, decoder=network.decoder
        )

    def load_state_dict(self, state_dict: Mapping[str, Any], *_: Any, **__: Any) -> Any:
        """As `DropIn.load_state_dict`."""
        found = super().load_state_dict(state_dict)
        state, _where = unwrapped(state_dict)
        with torch.no_grad():
            for name, unused in self._unused().items():
                theirs = next((k for k in state if k == name or k.endswith(f".{name}")), None)
                if theirs is not None and state[theirs].shape == unused.shape:
                    unused.copy_(state[theirs])
        return found

    def _unused(self) -> dict[str, Tensor]:
        """What upstream saves and no call uses, by its name."""
        return {
            name: tensor
            for name, tensor in self.state_dict(keep_vars=True).items()
            if name in UNUSED
        }

    def _are_own(self, _names: Iterable[str]) -> bool:
        return False  # the parts have upstream's names around ours

    def _placed(
        self, ours: Mapping[str, Tensor], theirs: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        placed = {f"{_PART[name.split('.')[0]]}.{name}": part for name, part in ours.items()}
        unused = {name: theirs.get(name, kept) for name, kept in self._unused().items()}
        return {**placed, **unused}

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
