"""Attention in variants that a NeuronCore can hold.

Shapes: B batch | N tokens | D width | K heads
"""

from __future__ import annotations

from typing import Optional

import torch
from torch import Tensor, nn

TILE = 128  # rows of the matrix engine, and partitions of a NeuronCore's memory
LOGIT_BYTES = 4
SLICE_BYTES = 2**28  # an eighth of the memory of a core of Inf1; softmax needs as much again


class AttendInBlocks(nn.Module):
    """In the place of `Attend`: the queries in slices of fixed length, so that fewer logits are
    alive at a time.

    heads  of the attention
    count  slices; None: as many as keep the logits of a slice within `SLICE_BYTES`

    Exact: softmax is along the keys, and every slice sees all of them.
    """

    def __init__(self, heads: int, count: Optional[int]) -> None:
        super().__init__()
        self.heads, self.count = heads, count

    def edges(self, tokens: int) -> list[int]:
        return edges_of(tokens, self.count or slices_that_fit(self.heads, tokens))

    def forward(
        self, q: Tensor, k: Tensor, v: Tensor, tokens: int
    ) -> Tensor:  # 3 x [B,K,N,D/K] -> the same
        edges, keys = self.edges(tokens), k.transpose(-2, -1)
        if len(edges) == 2:
            return (q @ keys).softmax(dim=-1) @ v
        blocks = [
            (q[:, :, start:end] @ keys).softmax(dim=-1) @ v for start, end in zip(edges, edges[1:])
        ]
        return torch.cat(blocks, dim=2)


def slices_that_fit(heads: int, tokens: int) -> int:
    """How many slices keep the logits of each within `SLICE_BYTES`; no slice is under a tile."""
    tiles = -(-tokens // TILE)
    tiles_each = SLICE_BYTES // (LOGIT_BYTES * heads * tokens * TILE)
    return -(-tiles // max(1, tiles_each))


def edges_of(tokens: int, count: int) -> list[int]:
    """Where `count` slices of the tokens begin and end, count + 1 numbers; fewer for few tokens.

    Each slice but the last ends at a multiple of `TILE`, and no slice has more than one tile more
    than another. Fewer tiles than slices: slices as equal as they can be.
    """
    tiles, count = -(-tokens // TILE), min(count, tokens)
    if tiles < count:
        return [tokens * i // count for i in range(count + 1)]
    return [*(TILE * (tiles * i // count) for i in range(count)), tokens]
