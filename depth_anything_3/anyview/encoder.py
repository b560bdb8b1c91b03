"""The encoder of any number of views, and its two stages: one view at a time, then all views.

Shapes: V views of any scenes | B scenes of S views | H W pixels | h w patch grid
        N = 1 + h*w tokens | D width | T = 4 token maps
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from depth.network.position import ResampledPosition
from depth.network.rotary import (
    RotaryBlock,
    patch_positions,
    rotary_tables,
    shared_positions,
)
from depth.network.vit import (
    Block,
    ClassToken,
    ClassTokenFirst,
    OtherClassToken,
    PatchConvolution,
    PatchTokens,
)
from depth_anything_3.anyview.camera_networks import CameraDecoder
from depth_anything_3.anyview.config import NORM_EPS, AnyViewConfig

Grid = tuple[int, int]


class AnyViewEncoder(nn.Module):
    """The parameters of both stages; `PrefixStage` and `TrunkStage` share them."""

    def __init__(self, config: AnyViewConfig, patch_px: int) -> None:
        super().__init__()
        dim, heads, swiglu = config.embed_dim, config.num_heads, config.swiglu
        self.taps, self.alternate_from = config.taps, config.alternate_from
        self.dim, self.head_dim, self.patch_px = dim, dim // heads, patch_px
        self.patch_embed: nn.Module = PatchConvolution(dim, patch_px)
        self.position: nn.Module = ResampledPosition(dim)
        self.with_class_token: nn.Module = ClassTokenFirst()
        self.patch_tokens: nn.Module = PatchTokens()
        self.class_token: nn.Module = ClassToken()
        self.with_camera_token: nn.Module = OtherClassToken()
        self.camera_token = nn.Parameter(torch.zeros(1, 2, dim))  # first view, any other view
        kinds = [Block if i < self.alternate_from else RotaryBlock for i in range(config.depth)]
        self.blocks = nn.ModuleList([kind(dim, heads, swiglu) for kind in kinds])
        self.norm = nn.LayerNorm(dim, eps=NORM_EPS)


class PrefixStage(nn.Module):
    """What is done with each view alone, at a fixed grid."""

    def __init__(self, encoder: AnyViewEncoder, grid: Grid) -> None:
        super().__init__()
        self.grid = grid
        self.patch_embed, self.position = encoder.patch_embed, encoder.position
        self.with_class_token, self.class_token = encoder.with_class_token, encoder.class_token
        self.blocks = nn.ModuleList(list(encoder.blocks)[: encoder.alternate_from])

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """[V,3,H,W] -> tokens [V,N,D]; class tokens [V,D], by which a reference view is chosen.

        Class tokens are those before the last block.
        """
        h, w = self.grid
        x = self.with_class_token(self.patch_embed(images, h, w), self.position(h, w))
        *before, last = self.blocks
        for block in before:
            x = block(x, 1 + h * w)
        return last(x, 1 + h * w), self.class_token(x, 1 + h * w)


class TrunkStage(nn.Module):
    """What connects the views of a scene, at a fixed grid and number of views.

    The first view of a scene is its reference view. In blocks that attend over all views, all
    patches have one position, so the order of the other views does not count.
    """

    local_cosine: Tensor
    local_sine: Tensor
    global_cosine: Tensor
    global_sine: Tensor

    def __init__(
        self, encoder: AnyViewEncoder, cameras: CameraDecoder, grid: Grid, views: int
    ) -> None:
        super().__init__()
        self.tokens, self.views, self.dim = 1 + grid[0] * grid[1], views, encoder.dim
        self.cameras = cameras
        self.first, self.taps = encoder.alternate_from, encoder.taps
        self.blocks = nn.ModuleList(list(encoder.blocks)[self.first :])
        self.norm, self.patch_tokens = encoder.norm, encoder.patch_tokens
        self.class_token, self.with_camera_token = encoder.class_token, encoder.with_camera_token
        device = encoder.camera_token.device
        own = rotary_tables(patch_positions(*grid, device), encoder.head_dim)
        shared = rotary_tables(shared_positions(*grid, device), encoder.head_dim)
        for name, table in zip(("local_cosine", "local_sine"), own):
            self.register_buffer(name, self._ordered(table), persistent=False)
        for name, table in zip(("global_cosine", "global_sine"), shared):
            self.register_buffer(name, self._ordered(table).repeat(views, 1), persistent=False)

    def forward(self, tokens: Tensor, camera_tokens: Tensor) -> tuple[Tensor, Tensor]:
        """[B,S,N,D], [B,S,D] -> features [B,S,h*w,T*2D], cameras as nine numbers [B,S,9].

        A token map has the output of the last block of the own view beside that of all views. Only
        the latter goes through the last LayerNorm.
        """
        n, dim = self.tokens, self.dim
        x = tokens.reshape(-1, n, dim)  # [B*S,N,D]
        x = self.with_camera_token(camera_tokens.reshape(-1, 1, dim), self.patch_tokens(x, n))
        own, features = x, []
        for index, block in enumerate(self.blocks, self.first):
            if index % 2:
                x = self._across(block, x)
            else:
                x = own = block(x, n, (self.local_cosine, self.local_sine))
            if index in self.taps:
                features += [self.patch_tokens(own, n), self.norm(self.patch_tokens(x, n))]
        cameras = torch.cat((self.class_token(own, n), self.class_token(x, n)), dim=1)  # [B*S,2D]
        side_by_side = torch.cat(features, dim=2)  # [B*S,h*w,T*2D]
        width = 2 * dim * len(self.taps)
        return (
            side_by_side.reshape(-1, self.views, n - 1, width),
            self.cameras(cameras.reshape(-1, self.views, 2 * dim)),
        )

    def _ordered(self, table: Tensor) -> Tensor:  # [N,d] -> the same, in the order of the tokens
        ordered: Tensor = self.with_camera_token(table[:1], table[1:])
        return ordered

    def _across(self, block: nn.Module, x: Tensor) -> Tensor:  # [B*S,N,D] -> [B*S,N,D]
        n, tables = self.views * self.tokens, (self.global_cosine, self.global_sine)
        return block(x.reshape(-1, n, self.dim), n, tables).reshape(-1, self.tokens, self.dim)
