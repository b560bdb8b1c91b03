"""The network as it is trained: initial weights, and a position embedding that stays smooth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from depth.family import NATIVE_GRID, PATCH_PX
from depth.network.vit import fit_pos_embed
from depth_anything_v2.config import CONFIGS
from depth_anything_v2.network import DepthAnything

WAVES = 8  # cosines per side from which the position embedding is made


class Trainee(nn.Module):
    """`DepthAnything` of size "demo" with what training needs around it.

    Small grids touch only some cells of the 37 x 37 position embedding. Trained cell by cell it
    would be rough, and useless at the next size; so it is a sum of few smooth waves, whose
    amplitudes are trained.
    """

    def __init__(self) -> None:
        super().__init__()
        config = CONFIGS["demo"]
        self.network = DepthAnything(config)
        self.network.encoder.pos_embed.requires_grad_(False)
        self.amplitudes = nn.Parameter(torch.randn(WAVES**2, config.embed_dim) * 0.1)
        self._waves: dict[tuple[int, int], Tensor] = {}
        self._raw = torch.zeros(0)
        self.network.decoder.head3.register_forward_hook(self._keep_raw)
        initialise(self.network)

    def _keep_raw(self, module: nn.Module, args: object, output: Tensor) -> None:
        del module, args
        self._raw = output

    def forward(self, images: Tensor, stride: int = 1) -> Tensor:
        """[B,3,H,W] to every `stride`th pixel of [B,H,W], before the last ReLU."""
        size = (images.shape[2], images.shape[3])
        if self.network.size != size:
            self.network.fix_size(*size)
        self.network.decoder.out_size = (size[0] // stride, size[1] // stride)
        # fix_size settles the position without gradient; here it has to have one.
        encoder = self.network.encoder
        waves = self._waves_at(size[0] // PATCH_PX, size[1] // PATCH_PX)
        encoder.position = torch.cat((encoder.cls_token, (waves @ self.amplitudes)[None]), dim=1)
        self.network(images)
        return self._raw.squeeze(1).float()

    def _waves_at(self, h: int, w: int) -> Tensor:  # [h*w,WAVES**2]
        if (h, w) not in self._waves:
            row_for_class = torch.zeros(1, 1, WAVES**2)
            whole = torch.cat((row_for_class, _waves()[None]), dim=1)
            self._waves[h, w] = fit_pos_embed(whole, h, w)[0, 1:]
        return self._waves[h, w]

    def settle(self) -> None:
        """Write the position embedding into the network's own parameter."""
        with torch.no_grad():
            self.network.encoder.pos_embed.zero_()
            self.network.encoder.pos_embed[0, 1:] = _waves() @ self.amplitudes


def _waves() -> Tensor:  # [37*37,WAVES**2]
    at = (torch.arange(NATIVE_GRID) + 0.5) / NATIVE_GRID
    along = torch.cos(np.pi * at[:, None] * torch.arange(WAVES))  # [37,WAVES]
    return torch.einsum("ya,xb->yxab", along, along).reshape(NATIVE_GRID**2, WAVES**2)


def initialise(network: DepthAnything) -> None:
    """Initial weights, from torch's global generator."""
    for module in network.modules():
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            nn.init.zeros_(module.bias)
        elif isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)) and module.bias is not None:
            nn.init.zeros_(module.bias)
    encoder, decoder = network.encoder, network.decoder
    nn.init.xavier_uniform_(encoder.patch_embed.weight.data.flatten(1))
    nn.init.normal_(encoder.cls_token, std=0.02)
    for part in decoder.resize[:2]:  # stride = kernel: every output has one input pixel
        weight = part.get_parameter("weight")
        nn.init.normal_(weight, std=weight.shape[0] ** -0.5)
    for part in (*decoder.project, *decoder.adapt, decoder.head1, decoder.head2):
        nn.init.kaiming_normal_(part.weight, nonlinearity="relu")
    # Well above zero: a dead last ReLU cannot recover.
    nn.init.constant_(decoder.head3.get_parameter("bias"), 1.0)


def save_fp16(trainee: Trainee, path: Path) -> None:
    """Write the weights under our parameter names, half precision, through a temporary file."""
    trainee.settle()
    state = {
        name: tensor.detach().half().contiguous()
        for name, tensor in trainee.network.state_dict().items()
    }
    part = path.with_suffix(".part")
    save_file(state, part, metadata={"model": "demo", "licence": "Apache-2.0"})
    part.replace(path)
