"""Upstream's decoder on our network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional, Union

import torch.nn.functional as F
from torch import Tensor, nn

from depth.errors import InputError
from depth.network.dpt import Decoder, ResidualUnit
from depth_anything_v2.config import SIZE
from depth_anything_v2.names import DECODER, UnderTheirNames

Features = Sequence[Union[Tensor, Sequence[Tensor]]]


class DPTHead(UnderTheirNames):
    """Upstream's class of this name: token maps to one map.

    in_channels   D, width of a token
    out_channels  of the four stages
    decoder       the decoder whose weights it shares; by default a new one

    The map is after a ReLU, or of a metric decoder after a sigmoid: 0 to 1. Raises InputError for
    `use_bn` and `use_clstoken`, which fit no published checkpoint.
    """

    names = DECODER

    def __init__(
        self,
        in_channels: int,
        features: int = 256,
        use_bn: bool = False,
        out_channels: Sequence[int] = (256, 512, 1024, 1024),
        use_clstoken: bool = False,
        decoder: Optional[Decoder] = None,
    ) -> None:
        super().__init__()
        check_plain(use_bn, use_clstoken, out_channels)
        self.decoder = decoder or Decoder(in_channels, features, out_channels, {"depth": nn.ReLU()})
        self.use_clstoken = False
        # Saved by upstream; the coarsest stage has no second input, so no call uses it.
        self.unused_unit = ResidualUnit(features)

    def forward(self, out_features: Features, patch_h: int, patch_w: int) -> Tensor:
        """[B,1,14*patch_h,14*patch_w] of four token maps [B,h*w,D], each first of a pair or alone.

        Upstream's encoder gives pairs with `return_class_token=True`.
        """
        maps = [found if isinstance(found, Tensor) else found[0] for found in out_features]
        decoder, patch_px = self.decoder, SIZE.multiple_px
        fused = decoder.merge(decoder.pyramid(maps, patch_h, patch_w), patch_h, patch_w)
        size = patch_h * patch_px, patch_w * patch_px
        head: Any = next(iter(decoder.heads.values()))
        x: Tensor = decoder.upsample(decoder.reduce(fused), size)
        x = head.conv2(F.relu(head.conv1(x)))
        return F.relu(x) if isinstance(head.activation, nn.ReLU) else x.sigmoid()


def check_plain(use_bn: bool, use_clstoken: bool, out_channels: Sequence[int]) -> None:
    """Raises InputError for what no network of this family has."""
    if use_bn or use_clstoken:
        raise InputError("use_bn and use_clstoken: no published checkpoint has them; leave out")
    if len(out_channels) != 4:
        raise InputError(f"out_channels {tuple(out_channels)}: expected four numbers")
