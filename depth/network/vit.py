"""DINOv2 vision transformer, inference only, at one fixed image size.

Oquab et al., "DINOv2: Learning Robust Visual Features without Supervision", 2023.

Shapes: B batch | H W pixels | h w patch grid | N = 1 + h*w tokens | D width | K heads
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from depth.family import NATIVE_GRID, PATCH_PX
from depth_anything_v2.config import ModelConfig


class Attention(nn.Module):
    """Multi-head self-attention, written out: one path on every torch version and compiler."""

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.head_dim = dim // num_heads
        self.tokens = 1 + NATIVE_GRID**2  # N; set by Encoder.fix_size
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:  # [B,N,D] -> [B,N,D]
        q, k, v = (self._heads(t) for t in self.qkv(x).chunk(3, dim=-1))  # 3 x [B,K,N,D/K]
        weights = (q * self.head_dim**-0.5 @ k.transpose(-2, -1)).softmax(dim=-1)  # [B,K,N,N]
        return self.proj((weights @ v).transpose(1, 2).flatten(2))

    def _heads(self, x: Tensor) -> Tensor:  # [B,N,D] -> [B,K,N,D/K]
        return x.reshape(-1, self.tokens, self.num_heads, self.head_dim).transpose(1, 2)


class Mlp(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, 4 * dim)
        self.fc2 = nn.Linear(4 * dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x)))


class SwiGlu(nn.Module):
    """Gated feed-forward of the giant size (Shazeer, "GLU Variants Improve Transformer", 2020)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        # Two thirds of the usual 4*dim keeps the parameter count; rounded up to a multiple of 8.
        hidden = (4 * dim * 2 // 3 + 7) // 8 * 8
        self.w12 = nn.Linear(dim, 2 * hidden)
        self.w3 = nn.Linear(hidden, dim)

    def forward(self, x: Tensor) -> Tensor:
        gate, value = self.w12(x).chunk(2, dim=-1)
        return self.w3(F.silu(gate) * value)


class Block(nn.Module):
    def __init__(self, dim: int, num_heads: int, swiglu: bool) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=1e-6)
        self.attn = Attention(dim, num_heads)
        self.scale1 = nn.Parameter(torch.ones(dim))
        self.norm2 = nn.LayerNorm(dim, eps=1e-6)
        self.mlp = SwiGlu(dim) if swiglu else Mlp(dim)
        self.scale2 = nn.Parameter(torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:  # [B,N,D] -> [B,N,D]
        x = x + self.scale1 * self.attn(self.norm1(x))
        return x + self.scale2 * self.mlp(self.norm2(x))


class Encoder(nn.Module):
    """Image to four token maps. `fix_size` settles all that depends on the image size."""

    position: Tensor  # [1,N,D]: position embedding at this size, class token added

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        dim = config.embed_dim
        self.taps = config.taps
        self.patch_embed = nn.Conv2d(3, dim, kernel_size=PATCH_PX, stride=PATCH_PX)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + NATIVE_GRID**2, dim))
        self.blocks = nn.ModuleList(
            [Block(dim, config.num_heads, config.swiglu) for _ in range(config.depth)]
        )
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.register_buffer("position", torch.zeros(0), persistent=False)

    def fix_size(self, h: int, w: int) -> None:
        """Settle the position embedding for an h x w patch grid from the current weights."""
        with torch.no_grad():
            position = fit_pos_embed(self.pos_embed.detach(), h, w)
            cls = position[:, :1] + self.cls_token.detach()
            self.position = torch.cat((cls, position[:, 1:]), dim=1)
        for module in self.blocks.modules():
            if isinstance(module, Attention):
                module.tokens = 1 + h * w

    def forward(self, images: Tensor) -> list[Tensor]:  # [B,3,H,W] -> 4 x [B,h*w,D]
        patches = self.patch_embed(images).flatten(2).transpose(1, 2)  # [B,h*w,D]
        # A zero row in front becomes the class token when `position` is added: no batch arithmetic.
        x = torch.constant_pad_nd(patches, (0, 0, 1, 0)) + self.position  # [B,N,D]
        features = []
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in self.taps:
                features.append(self.norm(x)[:, 1:])
        return features


def fit_pos_embed(pos_embed: Tensor, h: int, w: int) -> Tensor:
    """Resample a checkpoint's position embedding to another grid.

    Shapes: [1,1+37*37,D] -> [1,1+h*w,D].

    The scale factor carries DINOv2's offset of 0.1 patch; resampling with size=(h, w), as
    transformers does, gives other numbers (github.com/facebookresearch/dino issue 8).
    """
    if (h, w) == (NATIVE_GRID, NATIVE_GRID):
        return pos_embed
    cls, grid = pos_embed[:, :1].float(), pos_embed[:, 1:].float()
    grid = grid.transpose(1, 2).reshape(1, -1, NATIVE_GRID, NATIVE_GRID)
    scale = ((h + 0.1) / NATIVE_GRID, (w + 0.1) / NATIVE_GRID)
    grid = F.interpolate(grid, scale_factor=scale, mode="bicubic")
    return torch.cat((cls, grid.flatten(2).transpose(1, 2)), dim=1).to(pos_embed.dtype)
