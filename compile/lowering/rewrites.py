"""The passes themselves. Each replaces modules of one type in place, exact to float32 rounding.

A pass knows the blocks of depth/network and no network; what is not made of them stays as it is.
Constants are computed in float64 and rounded once.
"""

from __future__ import annotations

from typing import Any, TypeVar, Union

import torch
from torch import Tensor, nn

from compile.lowering.attention import AttendInBlocks
from compile.lowering.calls import arguments_of
from compile.lowering.fusions import ProjectingFirst
from compile.lowering.images import FromHalf, NormalisingInput
from compile.lowering.patches import PatchMatmul
from compile.lowering.resize import ConvolutionResize, MatmulResize, ProductResize
from compile.lowering.tokens import (
    ClassTokenLast,
    FirstTokens,
    LastToken,
    OtherClassTokenLast,
    first_row_last,
)
from depth.artifact.steps import Normalise
from depth.errors import InputError
from depth.family import FLOAT16
from depth.network.base import Network
from depth.network.convolution import BatchNorm, ConvolutionNorm, ImageInput
from depth.network.dpt import Fusion, Interpolate
from depth.network.position import FixedPosition, ResampledPosition
from depth.network.rotary import RotaryAttention
from depth.network.vit import (
    Attend,
    Attention,
    Block,
    ClassToken,
    ClassTokenFirst,
    LayerScale,
    OtherClassToken,
    PatchConvolution,
    PatchTokens,
    Scale,
)

_LAST: dict[type[nn.Module], type[nn.Module]] = {
    ClassTokenFirst: ClassTokenLast,
    PatchTokens: FirstTokens,
    ClassToken: LastToken,
    OtherClassToken: OtherClassTokenLast,
}
FIT = "fit"  # the variant of attention_blocks that counts its slices itself
RESIZES: dict[str, type[ProductResize]] = {"matmul": MatmulResize, "conv1x1": ConvolutionResize}

Patches = Union[PatchConvolution, PatchMatmul]
Kind = TypeVar("Kind", bound=nn.Module)


def fix_position(network: Network, _variant: str) -> None:
    resampled = _found(network, ResampledPosition)
    arguments = arguments_of(network) if resampled else {}
    for path, position in resampled:
        _replace(network, path, FixedPosition(position(*arguments[path])))
    for path, fixed in _found(network, FixedPosition):  # without the weights that it was made of
        _replace(network, path, FixedPosition(fixed.constant))


def fold_normalisation(network: Network, _variant: str) -> None:
    step = next((s for s in network.model.before if isinstance(s, Normalise)), None)
    entries, embeds = _found(network, ImageInput), _embeds(network)
    if step is None or not (entries or embeds):
        raise InputError(
            f"lowering pass 'normalisation': {network.model.name} has no patches that a "
            "normalisation could become part of, and no block ImageInput"
        )
    for path, _ in entries:
        _replace(network, path, NormalisingInput(step))
    for _, embed in () if entries else embeds:
        _fold_into(embed, step)


def take_half(network: Network, _variant: str) -> None:
    for path, entry in _found(network, ImageInput) or _embeds(network):
        _replace(network, path, FromHalf(entry))
    network.image_dtype = FLOAT16


def multiply_patches(network: Network, _variant: str) -> None:
    for path, convolution in _found(network, PatchConvolution):
        _replace(network, path, PatchMatmul(convolution))


def fold_batch_norm(network: Network, _variant: str) -> None:
    for layer in _parts(network, ConvolutionNorm):
        if isinstance(layer.norm, BatchNorm):
            norm, convolution = layer.norm, layer.convolution
            gain = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
            weight = convolution.weight.double() * gain[:, None, None, None]
            convolution.weight = _parameter(weight)
            convolution.bias = _parameter(norm.bias.double() - norm.running_mean.double() * gain)
            layer.norm = nn.Identity()


def fold_attention_scale(network: Network, _variant: str) -> None:
    for attention in _parts(network, Attention):
        if isinstance(attention.scale, Scale):
            qkv = attention.qkv
            gain = torch.ones(len(qkv.weight), dtype=torch.float64, device=qkv.weight.device)
            gain[: len(gain) // 3] = attention.scale.factor  # the rows that make q
            _scale_rows(qkv, gain)
            attention.scale = nn.Identity()
    for rotary in _parts(network, RotaryAttention):
        if isinstance(rotary.scale, Scale):  # turning by position keeps a factor
            norm = rotary.q_norm
            _scale_rows(norm, torch.full_like(norm.bias, rotary.scale.factor))
            rotary.scale = nn.Identity()


def fold_layer_scale(network: Network, _variant: str) -> None:
    for block in _parts(network, Block):
        block.scale1 = _folded(block.scale1, block.attn.proj)
        block.scale2 = _folded(block.scale2, block.mlp.last)


def move_class_token(network: Network, _variant: str) -> None:
    """Fixes the position embedding too, because its rows change their places."""
    if not _found(network, ClassTokenFirst):
        return
    fix_position(network, "")
    for path, position in _found(network, FixedPosition):
        _replace(network, path, FixedPosition(first_row_last(position.constant)))
    for first, last in _LAST.items():
        for path, _ in _found(network, first):
            _replace(network, path, last())


def project_first(network: Network, _variant: str) -> None:
    for path, fusion in _found(network, Fusion):
        _replace(network, path, ProjectingFirst(fusion))


def multiply_resizes(network: Network, variant: str) -> None:
    arguments = arguments_of(network)
    for path, part in _found(network, Interpolate):
        if path in arguments:  # else it is of a part that no program has, such as Gaussians
            before, after = arguments[path]
            _replace(network, path, RESIZES[variant](before[2:], after, part.align_corners))


def slice_attention(network: Network, variant: str) -> None:
    count = None if variant == FIT else int(variant)
    if count is not None and _found(network, Attend):
        tokens = max(given[3] for given in _arguments(network, Attend))
        if count > tokens:
            raise InputError(f"attention_blocks={count}: there are {tokens} tokens only")
    attentions: list[Union[Attention, RotaryAttention]] = [
        *_parts(network, Attention),
        *_parts(network, RotaryAttention),
    ]
    for attention in attentions:
        if isinstance(attention.attend, Attend):
            attention.attend = AttendInBlocks(attention.num_heads, count)


def _embeds(network: Network) -> list[tuple[str, Patches]]:
    return [*_found(network, PatchConvolution), *_found(network, PatchMatmul)]


def _arguments(network: Network, kind: type[nn.Module]) -> list[tuple[Any, ...]]:
    """Of each part of a kind, what it is called with; see `arguments_of`."""
    arguments = arguments_of(network)
    return [arguments[path] for path, _ in _found(network, kind)]


def _found(network: Network, kind: type[Kind]) -> list[tuple[str, Kind]]:
    return [(path, part) for path, part in network.named_modules() if isinstance(part, kind)]


def _parts(network: Network, kind: type[Kind]) -> list[Kind]:
    return [part for _, part in _found(network, kind)]


def _replace(network: Network, path: str, part: nn.Module) -> None:
    parent, _, name = path.rpartition(".")
    setattr(network.get_submodule(parent), name, part)


def _fold_into(embed: Patches, step: Normalise) -> None:
    weight = embed.weight.double().reshape(len(embed.weight), len(step.std), -1)  # [D,3,14*14]
    mean, std = (
        torch.tensor(v, dtype=torch.float64)[:, None].to(weight) for v in (step.mean, step.std)
    )
    shift = (weight * (mean / std)).sum(dim=(1, 2))
    embed.weight = _parameter((weight / (255 * std)).reshape(embed.weight.shape))
    embed.bias = _parameter(_bias(embed).double() - shift)


def _folded(gain: nn.Module, linear: nn.Linear) -> nn.Module:
    if isinstance(gain, LayerScale):
        _scale_rows(linear, gain.gamma)
    return nn.Identity()


def _scale_rows(layer: Union[nn.Linear, nn.LayerNorm], gain: Tensor) -> None:
    rows = gain.double()
    layer.bias = _parameter(layer.bias.double() * rows)
    weight = layer.weight.double()
    layer.weight = _parameter(weight * (rows if weight.ndim == 1 else rows[:, None]))


def _bias(layer: Union[nn.Linear, nn.Conv2d]) -> Tensor:
    bias: Tensor = layer.bias  # type: ignore[assignment]
    return bias


def _parameter(values: Tensor) -> nn.Parameter:
    return nn.Parameter(values.float(), requires_grad=False)
