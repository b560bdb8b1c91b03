"""Rotary position embedding in two dimensions, and the transformer block that has it.

Su et al., "RoFormer: Enhanced Transformer with Rotary Position Embedding", 2021. In two dimensions,
as Weinzaepfel et al., "CroCo v2", 2023: one half of a head's channels turns with the row of a
patch, the other half with its column.

Shapes: B batch | N tokens | D width | K heads | d = D/K channels of a head, a multiple of 4
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from depth.network.vit import Attend, Block, Scale

BASE = 100.0
NORM_EPS = 1e-5  # of the LayerNorm of queries and keys

Tables = tuple[Tensor, Tensor]  # cosine and sine, [N,d] each


def patch_positions(h: int, w: int, device: torch.device) -> Tensor:
    """Row and column of each token of an h x w grid, [1+h*w,2]: patches from 1 on, token 0 at 0."""
    rows = torch.arange(1, h + 1, device=device)[:, None].expand(h, w)
    columns = torch.arange(1, w + 1, device=device)[None, :].expand(h, w)
    patches = torch.stack((rows, columns), dim=2).reshape(h * w, 2)
    return torch.cat((torch.zeros_like(patches[:1]), patches))


def shared_positions(h: int, w: int, device: torch.device) -> Tensor:
    """The same shape with one place for all patches, (1, 1), and another for token 0, (0, 0)."""
    return patch_positions(h, w, device).clamp(max=1)


def rotary_tables(positions: Tensor, head_dim: int) -> Tables:
    """The constants by which `RotaryAttention` turns queries and keys.

    positions  [N,2], whole numbers: the row and the column of each token
    """
    half = head_dim // 2
    exponents = torch.arange(0, half, 2, device=positions.device).float() / half
    angles = positions.float()[:, :, None] * (1.0 / BASE**exponents)  # [N,2,d/4]
    angles = torch.cat((angles, angles), dim=2).flatten(1)  # [N,d]
    return angles.cos(), angles.sin()


class QuarterTurn(nn.Module):
    """Turn the channels of both halves of a head by 90 degrees: (a, b) to (-b, a) in each half."""

    def __init__(self, head_dim: int) -> None:
        super().__init__()
        self.quarter = head_dim // 4

    def forward(self, x: Tensor) -> Tensor:  # [B,K,N,d] -> [B,K,N,d]
        q = self.quarter
        a, b, c, d = x[..., :q], x[..., q : 2 * q], x[..., 2 * q : 3 * q], x[..., 3 * q :]
        return torch.cat((-b, a, -d, c), dim=-1)


class RotaryAttention(nn.Module):
    """Self-attention with a LayerNorm of queries and keys, which are then turned by position.

    The factor of the logits cannot become part of `qkv`, as the LayerNorm would undo it.
    """

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.dim, self.num_heads, self.head_dim = dim, num_heads, dim // num_heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.q_norm = nn.LayerNorm(self.head_dim, eps=NORM_EPS)
        self.k_norm = nn.LayerNorm(self.head_dim, eps=NORM_EPS)
        self.quarter_turn: nn.Module = QuarterTurn(self.head_dim)
        self.scale: nn.Module = Scale(self.head_dim**-0.5)
        self.attend: nn.Module = Attend()
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor, tokens: int, tables: Tables) -> Tensor:  # [B,N,D] -> [B,N,D]
        qkv = self.qkv(x)
        q = self._turned(self.q_norm(self._heads(qkv[..., : self.dim], tokens)), tables)
        k = self._heads(qkv[..., self.dim : 2 * self.dim], tokens)
        k = self._turned(self.k_norm(k), tables)
        v = self._heads(qkv[..., 2 * self.dim :], tokens)
        return self.proj(self.attend(self.scale(q), k, v, tokens).transpose(1, 2).flatten(2))

    def _heads(self, x: Tensor, tokens: int) -> Tensor:  # [B,N,D] -> [B,K,N,d]
        return x.reshape(-1, tokens, self.num_heads, self.head_dim).transpose(1, 2)

    def _turned(self, x: Tensor, tables: Tables) -> Tensor:  # [B,K,N,d] -> [B,K,N,d]
        cosine, sine = tables
        return x * cosine + self.quarter_turn(x) * sine


class RotaryBlock(Block):
    """A transformer block with `RotaryAttention`."""

    def __init__(self, dim: int, num_heads: int, swiglu: bool = False) -> None:
        super().__init__(dim, num_heads, swiglu)
        self.attn = RotaryAttention(dim, num_heads)  # type: ignore[assignment]

    def forward(  # type: ignore[override]
        self, x: Tensor, tokens: int, tables: Tables
    ) -> Tensor:  # [B,N,D] -> [B,N,D]
        x = x + self.scale1(self.attn(self.norm1(x), tokens, tables))
        return x + self.scale2(self.mlp(self.norm2(x)))
