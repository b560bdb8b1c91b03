"""Attention in variants that a NeuronCore can hold.

Shapes: B batch | N tokens | D width | K heads
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

TILE = 128  # rows of the matrix engine, and partitions of a NeuronCore's memory


class AttendInBlocks(nn.Module):
    """In the place of `Attend`: the queries in slices of fixed length, so that fewer logits are
    alive at a time.

    Exact: softmax is along the keys, and every slice sees all of them.
    """

    def __init__(self, tokens: int, count: int) -> None:
        super().__init__()
        edges = edges_of(tokens, count)
        self.slices = [slice(start, end) for start, end in zip(edges, edges[1:])]

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:  # 3 x [B,K,N,D/K] -> the same
        keys = k.transpose(-2, -1)
        blocks = [(q[:, :, rows] @ keys).softmax(dim=-1) @ v for rows in self.slices]
        return torch.cat(blocks, dim=2)


def edges_of(tokens: int, count: int) -> list[int]:
    """Where `count` slices of the tokens begin and end, count + 1 numbers.

    Each slice but the last ends at a multiple of `TILE`, and no slice has more than one tile more
    than another. Fewer tiles than slices: slices as equal as they can be.
    """
    tiles = -(-tokens // TILE)
    if tiles < count:
        return [tokens * i // count for i in range(count + 1)]
    return [*(TILE * (tiles * i // count) for i in range(count)), tokens]
