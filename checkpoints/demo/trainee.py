"""The network as it is trained: initial weights, and a position embedding that stays smooth."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from depth.family import DEPTH, build, model_named
from depth.network.dpt import Head
from depth.network.position import NATIVE_GRID, fit_pos_embed
from depth.network.single_view import SingleView

WAVES = 8  # cosines per side from which the position embedding is made


class WavePosition(nn.Module):
    """In the place of the network's own position embedding, while it is trained.

    Small grids touch only some cells of the 37 x 37 position embedding. Trained cell by cell it
    would be rough, and useless at the next size; so it is a sum of few smooth waves, whose
    amplitudes are trained.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.amplitudes = nn.Parameter(torch.randn(WAVES**2, dim) * 0.1)
        self._waves: dict[tuple[int, int], Tensor] = {}

    def forward(self, h: int, w: int) -> Tensor:  # [1,1+h*w,D]
        return torch.cat((self.cls_token, (self._waves_at(h, w) @ self.amplitudes)[None]), dim=1)

    def pos_embed(self) -> Tensor:  # [1,1+37*37,D]
        """The network's own parameter: a sum of the waves, with a row of zeros for the class."""
        return nn.functional.pad((_waves() @ self.amplitudes.cpu())[None], (0, 0, 1, 0))

    def _waves_at(self, h: int, w: int) -> Tensor:  # [h*w,WAVES**2]
        if (h, w) not in self._waves:
            row_for_class = torch.zeros(1, 1, WAVES**2)
            whole = torch.cat((row_for_class, _waves()[None]), dim=1)
            self._waves[h, w] = fit_pos_embed(whole, h, w)[0, 1:].to(self.amplitudes.device)
        return self._waves[h, w]


class Trainee(nn.Module):
    """The network of the model "demo" with what training needs in it."""

    def __init__(self) -> None:
        super().__init__()
        self.network = cast(SingleView, build(model_named("demo")))
        self.network.encoder.position = WavePosition(self.network.decoder.embed_dim)
        _head(self.network).activation = nn.Identity()
        initialise(self.network)

    def forward(self, images: Tensor, stride: int = 1) -> Tensor:
        """[B,3,H,W] to every `stride`th pixel of [B,H,W], before the last ReLU."""
        height, width = images.shape[2], images.shape[3]
        encoder, decoder = self.network.encoder, self.network.decoder
        grid = height // encoder.patch_px, width // encoder.patch_px
        (raw,) = decoder(encoder(images, *grid), *grid, (height // stride, width // stride))
        return cast(Tensor, raw).float()

    def settled(self) -> dict[str, Tensor]:
        """The weights under the network's own names."""
        state = self.network.state_dict()
        del state["encoder.position.amplitudes"]
        position = cast(WavePosition, self.network.encoder.position)
        state["encoder.position.pos_embed"] = position.pos_embed().detach()
        return state


def _waves() -> Tensor:  # [37*37,WAVES**2]
    at = (torch.arange(NATIVE_GRID) + 0.5) / NATIVE_GRID
    along = torch.cos(np.pi * at[:, None] * torch.arange(WAVES))  # [37,WAVES]
    return torch.einsum("ya,xb->yxab", along, along).reshape(NATIVE_GRID**2, WAVES**2)


def _head(network: SingleView) -> Head:
    return cast(Head, network.decoder.heads[DEPTH])


def initialise(network: SingleView) -> None:
    """Initial weights, from torch's global generator."""
    for module in network.modules():
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            nn.init.zeros_(module.bias)
        elif isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)) and module.bias is not None:
            nn.init.zeros_(module.bias)
    encoder, pyramid, head = network.encoder, network.decoder.pyramid, _head(network)
    nn.init.xavier_uniform_(encoder.patch_embed.get_parameter("weight").data.flatten(1))
    nn.init.normal_(encoder.position.get_parameter("cls_token"), std=0.02)
    for part in pyramid.resize[:2]:  # stride = kernel: every output has one input pixel
        weight = part.get_parameter("weight")
        nn.init.normal_(weight, std=weight.shape[0] ** -0.5)
    for part in (*pyramid.project, *pyramid.adapt, network.decoder.reduce, head.conv1):
        nn.init.kaiming_normal_(part.get_parameter("weight"), nonlinearity="relu")
    # Well above zero: a dead last ReLU cannot recover.
    nn.init.constant_(head.conv2.get_parameter("bias"), 1.0)


def save_fp16(trainee: Trainee, path: Path) -> None:
    """Write the weights under our parameter names, half precision, through a temporary file."""
    state = {name: tensor.cpu().half().contiguous() for name, tensor in trainee.settled().items()}
    part = path.with_suffix(".part")
    save_file(state, part, metadata={"model": "demo", "licence": "Apache-2.0"})
    part.replace(path)
