"""A network of an encoder and a decoder, from images to maps of their size.

Shapes: B batch | H W pixels | h w patch grid | D width | T token maps
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Union, cast

import torch
from torch import Tensor, nn

from depth.errors import InputError
from depth.family import Model, ModelConfig
from depth.network.base import Network
from depth.network.dpt import Decoder
from depth.network.position import settle
from depth.network.vit import Encoder
from depth.sizes import Size

Maps = Union[Tensor, tuple[Tensor, ...]]  # [B,H,W] per head; a tuple where there are several


class SingleView(Network):
    """An encoder and a decoder, of the dimensions in `model.config`.

    heads  by the name of the output, its activation, as `Decoder` takes them

    Without a fixed size, each call follows the size of its images and changes nothing on the
    object. Calls may come from several threads. A change of the weights takes effect at once.
    """

    def __init__(self, model: Model, heads: Mapping[str, nn.Module]) -> None:
        super().__init__(model)
        c: ModelConfig = model.config
        patch_px = model.size.multiple_px
        self.encoder = Encoder(
            c.embed_dim, c.depth, c.num_heads, c.taps, c.swiglu, patch_px, c.norm_eps
        )
        self.decoder = Decoder(c.embed_dim, c.decoder_dim, c.stage_dims, heads)

    def fix_size(self, height_px: int, width_px: int) -> None:
        """Settle the position embedding for one size; calls then take images of this size only.

        Call it again for another size, and after writing to a parameter, but not after
        `load_state_dict`. Raises InputError for a size that the network cannot have.
        """
        self.check_movable((height_px, width_px))
        settle(self.encoder, *self._grid((height_px, width_px)))
        self.size = (height_px, width_px)

    def stage(self, name: str, views: int = 1) -> nn.Module:  # noqa: ARG002 - one view only
        """Encoder or decoder at the fixed size, by its name in `model.split`."""
        size, grid = self.fixed_size, self._grid(self.fixed_size)
        names = [stage.name for stage in self.model.split]
        if name not in names:
            raise InputError(f"no stage {name!r}; choose from {', '.join(names) or 'none'}")
        if name == names[0]:
            return EncoderStage(self.encoder, grid)
        return DecoderStage(self.decoder, grid, size)

    def forward(self, images: Tensor) -> Maps:  # [B,3,H,W] -> [B,H,W] per head
        size = self.size_of(images)
        grid = self._grid(size)
        return _maps(self.decoder(self.encoder(images, *grid), *grid, size))

    def _grid(self, size: Size) -> tuple[int, int]:
        patch_px = self.encoder.patch_px
        return size[0] // patch_px, size[1] // patch_px


class EncoderStage(nn.Module):
    """Concatenates the token maps, so that a single tensor joins the two programs."""

    def __init__(self, encoder: Encoder, grid: tuple[int, int]) -> None:
        super().__init__()
        self.encoder = encoder
        self.grid = grid

    def forward(self, images: Tensor) -> Tensor:  # [B,3,H,W] -> [B,h*w,T*D]
        return torch.cat(self.encoder(images, *self.grid), dim=2)


class DecoderStage(nn.Module):
    """Takes the output of `EncoderStage`."""

    def __init__(self, decoder: Decoder, grid: tuple[int, int], size: Size) -> None:
        super().__init__()
        self.decoder = decoder
        self.grid, self.size = grid, size

    def forward(self, tokens: Tensor) -> Maps:  # [B,h*w,T*D] -> [B,H,W] per head
        dim, count = self.decoder.embed_dim, self.decoder.token_maps
        features = [tokens[..., i * dim : (i + 1) * dim] for i in range(count)]
        return _maps(self.decoder(features, *self.grid, self.size))


def _maps(maps: list[Tensor]) -> Maps:
    return maps[0] if len(maps) == 1 else cast("tuple[Tensor, ...]", tuple(maps))
