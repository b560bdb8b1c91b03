"""Upstream's blocks of a decoder, under their import path."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional

import torch.nn.functional as F
from torch import Tensor, nn

from depth.errors import InputError
from depth.network.dpt import ResidualUnit


class ResidualConvUnit(ResidualUnit):
    """Two convolutions with a shortcut; `activation` is a ReLU. Raises InputError for `bn`."""

    def __init__(self, features: int, activation: nn.Module, bn: bool = False) -> None:
        _check(activation, bn=bn)
        super().__init__(features)


class FeatureFusionBlock(nn.Module):
    """Adds a second map, then enlarges: to `size`, or twice.

    Raises InputError for `deconv`, `bn` and `expand`, which Depth Anything V2 never uses.
    """

    def __init__(
        self,
        features: int,
        activation: nn.Module,
        deconv: bool = False,
        bn: bool = False,
        expand: bool = False,
        align_corners: bool = True,
        size: Optional[Sequence[int]] = None,
    ) -> None:
        super().__init__()
        _check(activation, deconv=deconv, bn=bn, expand=expand)
        self.align_corners, self.size = align_corners, size
        self.resConfUnit1 = ResidualConvUnit(features, activation)
        self.resConfUnit2 = ResidualConvUnit(features, activation)
        self.out_conv = nn.Conv2d(features, features, 1)

    def forward(self, *maps: Tensor, size: Optional[Sequence[int]] = None) -> Tensor:
        """[B,C,h,w] of one or two of them -> [B,C,*size]."""
        x = maps[0] + self.resConfUnit1(maps[1]) if len(maps) > 1 else maps[0]
        to = size or self.size or [2 * side for side in x.shape[-2:]]
        x = F.interpolate(
            self.resConfUnit2(x), size=tuple(to), mode="bilinear", align_corners=self.align_corners
        )
        return self.out_conv(x)


def _make_scratch(
    in_shape: Sequence[int], out_shape: int, groups: int = 1, expand: bool = False
) -> nn.Module:
    """Upstream's function: convolutions `layer1_rn` to `layer4_rn` to one number of channels.

    Raises InputError for `expand`.
    """
    if expand:
        raise InputError("expand: Depth Anything V2 never has it; leave it out")
    made = nn.Module()
    for number, channels in enumerate(in_shape[:4], start=1):
        layer = nn.Conv2d(channels, out_shape, 3, padding=1, bias=False, groups=groups)
        made.add_module(f"layer{number}_rn", layer)
    return made


def _check(activation: nn.Module, **flags: bool) -> None:
    if not isinstance(activation, nn.ReLU):
        raise InputError(f"activation {type(activation).__name__}: expected nn.ReLU")
    given: Any = [name for name, flag in flags.items() if flag]
    if given:
        raise InputError(f"{', '.join(given)}: Depth Anything V2 never has it; leave it out")
