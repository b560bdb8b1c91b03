"""The passes themselves. Each rewrites an open network in place, exactly up to float32 rounding.

Constants are computed in float64 and rounded once.
"""

from __future__ import annotations

from typing import Union

import torch
from torch import Tensor, nn

from compile.lowering.attention import AttendInBlocks
from compile.lowering.network import ChannelGain, OpenBlock, OpenNetwork
from compile.lowering.patches import PatchConvolution, PatchMatmul
from compile.lowering.position import FixedPosition
from compile.lowering.resize import ConvolutionResize, Interpolate, MatmulResize, ProductResize
from depth.errors import InputError
from depth.network.vit import Mlp, SwiGlu
from depth.preprocess import MEAN, STD

RESIZES: dict[str, type[ProductResize]] = {"matmul": MatmulResize, "conv1x1": ConvolutionResize}


def fix_position(network: OpenNetwork, _form: str) -> None:
    network.encoder.position = FixedPosition(network.encoder.position())


def fold_normalisation(network: OpenNetwork, _form: str) -> None:
    embed = network.encoder.patch_embed
    weight = embed.weight.double().reshape(len(embed.weight), len(STD), -1)  # [D,3,14*14]
    mean, std = (torch.tensor(v, dtype=torch.float64)[:, None].to(weight) for v in (MEAN, STD))
    shift = (weight * (mean / std)).sum(dim=(1, 2))
    embed.weight = _parameter((weight / (255 * std)).reshape(embed.weight.shape))
    embed.bias = _parameter(embed.bias.double() - shift)


def multiply_patches(network: OpenNetwork, _form: str) -> None:
    embed = network.encoder.patch_embed
    if isinstance(embed, PatchConvolution):
        weight = _parameter(embed.weight.flatten(1))
        network.encoder.patch_embed = PatchMatmul(weight, embed.bias, network.grid)


def fold_attention_scale(network: OpenNetwork, _form: str) -> None:
    for block in blocks(network):
        qkv = block.attn.qkv
        gain = torch.ones(len(qkv.weight), dtype=torch.float64, device=qkv.weight.device)
        gain[: len(gain) // 3] = block.attn.head_dim**-0.5  # the rows that make q
        _scale_rows(qkv, gain)
        block.attn.scale = nn.Identity()


def fold_layer_scale(network: OpenNetwork, _form: str) -> None:
    for block in blocks(network):
        block.gain1 = _folded(block.gain1, block.attn.proj)
        block.gain2 = _folded(block.gain2, _last(block.mlp))


def multiply_resizes(network: OpenNetwork, form: str) -> None:
    for parent in list(network.decoder.modules()):
        for name, part in list(parent.named_children()):
            if isinstance(part, Interpolate):
                setattr(parent, name, RESIZES[form](part.in_size, part.out_size))


def slice_attention(network: OpenNetwork, form: str) -> None:
    count = int(form)
    for block in blocks(network):
        if count > block.attn.tokens:
            raise InputError(f"attention_blocks={count}: there are {block.attn.tokens} tokens only")
        block.attn.attend = AttendInBlocks(block.attn.tokens, count)


def blocks(network: OpenNetwork) -> list[OpenBlock]:
    return [block for block in network.encoder.blocks if isinstance(block, OpenBlock)]


def _last(mlp: Union[Mlp, SwiGlu]) -> nn.Linear:
    return mlp.w3 if isinstance(mlp, SwiGlu) else mlp.fc2


def _folded(gain: nn.Module, linear: nn.Linear) -> nn.Module:
    if isinstance(gain, ChannelGain):
        _scale_rows(linear, gain.factor)
    return nn.Identity()


def _scale_rows(linear: nn.Linear, gain: Tensor) -> None:
    linear.weight = _parameter(linear.weight.double() * gain.double()[:, None])
    linear.bias = _parameter(linear.bias.double() * gain.double())


def _parameter(values: Tensor) -> nn.Parameter:
    return nn.Parameter(values.float(), requires_grad=False)
