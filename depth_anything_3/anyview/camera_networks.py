"""The two networks between camera tokens and cameras as nine numbers.

The nine numbers: position of the camera (3), rotation as quaternion x y z w (4), vertical and
horizontal angle of view in radians; `depth/steps/cameras.py` converts them.

Shapes: B scenes of S views | D width of the encoder
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from depth.network.vit import Block
from depth_anything_3.anyview.config import CAMERA_BLOCKS, CAMERA_HEADS, NORM_EPS

CODE = 9  # numbers of a camera


class CameraDecoder(nn.Module):
    """From the camera features of the trunk to cameras. `dim` is 2D."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(dim, dim), nn.Linear(dim, dim)
        self.position = nn.Linear(dim, 3)
        self.rotation = nn.Linear(dim, 4)
        self.field_of_view = nn.Linear(dim, 2)

    def forward(self, features: Tensor) -> Tensor:  # [B,S,2D] -> [B,S,9]
        x = F.relu(self.second(F.relu(self.first(features))))
        angles = F.relu(self.field_of_view(x))
        return torch.cat((self.position(x), self.rotation(x), angles), dim=-1)


class CameraEncoder(nn.Module):
    """From known cameras to the camera tokens of the trunk; the views of a scene attend to each
    other.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(CODE, dim // 2), nn.Linear(dim // 2, dim)
        self.token_norm = nn.LayerNorm(dim, eps=NORM_EPS)
        self.blocks = nn.ModuleList([_block(dim) for _ in range(CAMERA_BLOCKS)])
        self.trunk_norm = nn.LayerNorm(dim, eps=NORM_EPS)

    def forward(self, codes: Tensor, views: int) -> Tensor:  # [B,S,9] -> [B,S,D]
        x = self.token_norm(self.fc2(F.gelu(self.fc1(codes))))
        for block in self.blocks:
            x = block(x, views)
        return self.trunk_norm(x)


class CamerasStage(nn.Module):
    """From cameras to the camera tokens of the trunk, for scenes of a fixed number of views.

    encoder       its weights are shared
    camera_token  [1,2,D]: what stands for cameras that nobody knows, of the first view and of all
                  others
    """

    learned: Tensor

    def __init__(self, encoder: CameraEncoder, camera_token: Tensor, views: int) -> None:
        super().__init__()
        self.encoder, self.views = encoder, views
        first, other = camera_token[:, :1], camera_token[:, 1:]
        learned = torch.cat((first, other.expand(-1, views - 1, -1)), dim=1).detach()
        self.register_buffer("learned", learned, persistent=False)

    def forward(self, codes: Tensor, known: Tensor) -> Tensor:
        """[B,S,9], [B,1,1] -> [B,S,D]; `known` is 1, or 0 where the codes do not count."""
        return known * self.encoder(codes, self.views) + (1.0 - known) * self.learned


def _block(dim: int) -> Block:
    block = Block(dim, CAMERA_HEADS)
    block.norm1.eps = block.norm2.eps = NORM_EPS
    return block
