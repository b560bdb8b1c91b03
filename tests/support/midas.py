"""Small networks of MiDaS, and published state dicts of ours under upstream's names."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from compile.specialise import specialise
from compile.untrained import untrained_checkpoint
from depth.family import Model
from depth.sizes import Size
from midas.config import DPT_MODELS, HYBRID, LARGE, SMALL, SMALL_MODEL, DptConfig, Stage
from midas.dpt import MidasDpt
from midas.small import MidasSmall

CHANNELS = (6, 8, 8, 10, 12, 14, 16)
TINY_SMALL = replace(
    SMALL,
    name="tiny-small",
    stem=4,
    stages=tuple(
        replace(stage, blocks=min(2, stage.blocks), expansion=min(2, stage.expansion), channels=dim)
        for stage, dim in zip(SMALL.stages, CHANNELS)
    ),
    decoder_dims=(4, 8, 16, 32),
)
TINY_MODEL: Model = replace(SMALL_MODEL, name="tiny-small", config=TINY_SMALL)
TINY_LARGE = replace(
    LARGE,
    name="tiny-large",
    embed_dim=32,
    depth=4,
    num_heads=2,
    taps=(0, 1, 2, 3),
    decoder_dim=16,
    stage_dims=(8, 16, 32, 32),
    native_grid=4,
)
TINY_HYBRID = replace(
    HYBRID,
    name="tiny-hybrid",
    embed_dim=32,
    depth=3,
    num_heads=2,
    taps=(1, 2),
    decoder_dim=16,
    stage_dims=(128, 256, 32, 32),
    native_grid=4,
    resnet=(1, 2, 1),
)
TINY_DPT: dict[str, Model] = {
    config.name: replace(DPT_MODELS[0], name=config.name, config=config)
    for config in (TINY_LARGE, TINY_HYBRID)
}
SIZE: Size = (64, 96)


def small_network(size: Size = SIZE, model: Model = TINY_MODEL) -> MidasSmall:
    """With fixed-seed weights, at a size."""
    made = specialise(model, untrained_checkpoint(model), size)
    assert isinstance(made, MidasSmall)
    return made


def dpt_network(name: str, size: Size = SIZE) -> MidasDpt:
    """With fixed-seed weights, at a size; `name` is a key of `TINY_DPT`."""
    made = specialise(TINY_DPT[name], untrained_checkpoint(TINY_DPT[name]), size)
    assert isinstance(made, MidasDpt)
    return made


def published_shapes() -> dict[str, tuple[int, ...]]:
    """Keys and shapes of midas_v21_small_256.pt, from its description and not from our rules."""
    found = {"pretrained.layer1.0.weight": (32, 3, 3, 3), **_norm("pretrained.layer1.1", 32)}
    places = ("layer1.3", "layer1.4", "layer2.0", "layer3.0", "layer3.1", "layer4.0", "layer4.1")
    dim = 32
    for place, stage in zip(places, SMALL.stages):
        for block in range(stage.blocks):
            found.update(_block(f"pretrained.{place}.{block}", dim, stage))
            dim = stage.channels
    for level, (into, out) in enumerate(zip((32, 48, 136, 384), (64, 128, 256, 512)), start=1):
        found[f"scratch.layer{level}_rn.weight"] = (out, into, 3, 3)
        found.update(_fusion(f"scratch.refinenet{level}", out, out if level == 1 else out // 2))
    for place, shape in ((0, (32, 64, 3, 3)), (2, (32, 32, 3, 3)), (4, (1, 32, 1, 1))):
        found.update(_biased(f"scratch.output_conv.{place}", shape))
    return found


def published_state() -> dict[str, Tensor]:
    """Zeros that take no memory, and the counters of a training."""
    return {
        name: torch.tensor(0) if "num_batches" in name else torch.zeros(()).expand(shape)
        for name, shape in published_shapes().items()
    }


def _block(name: str, dim: int, stage: Stage) -> dict[str, tuple[int, ...]]:
    inner, kernel_px = stage.expansion * dim, stage.kernel_px
    shapes = [(inner, 1, kernel_px, kernel_px), (stage.channels, inner, 1, 1)]
    names = ["conv_dw", "conv_pw"]
    if stage.expansion > 1:
        shapes, names = [(inner, dim, 1, 1), *shapes], ["conv_pw", "conv_dw", "conv_pwl"]
    found: dict[str, tuple[int, ...]] = {}
    for i, (part, shape) in enumerate(zip(names, shapes), start=1):
        found[f"{name}.{part}.weight"] = shape
        found.update(_norm(f"{name}.bn{i}", shape[0]))
    return found


def _norm(name: str, dim: int) -> dict[str, tuple[int, ...]]:
    parts = ("weight", "bias", "running_mean", "running_var")
    return {**{f"{name}.{part}": (dim,) for part in parts}, f"{name}.num_batches_tracked": ()}


def _fusion(name: str, dim: int, out: int) -> dict[str, tuple[int, ...]]:
    found = _biased(f"{name}.out_conv", (out, dim, 1, 1))
    for unit in (1, 2):
        for convolution in (1, 2):
            found.update(_biased(f"{name}.resConfUnit{unit}.conv{convolution}", (dim, dim, 3, 3)))
    return found


def _biased(name: str, shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": shape, f"{name}.bias": shape[:1]}


def published_dpt_shapes(config: DptConfig) -> dict[str, tuple[int, ...]]:
    """Keys and shapes of upstream's files of DPT, from their description and not from our rules."""
    dim, model = config.embed_dim, "pretrained.model"
    found: dict[str, tuple[int, ...]] = {
        f"{model}.cls_token": (1, 1, dim),
        f"{model}.pos_embed": (1, 1 + config.native_grid**2, dim),
        **_affine(f"{model}.norm", dim),
        **_biased(f"{model}.head", (1000, dim)),
    }
    first = (1024, 1) if config.resnet else (3, config.patch_px)
    found.update(_biased(f"{model}.patch_embed.proj", (dim, first[0], first[1], first[1])))
    for block in range(config.depth):
        place = f"{model}.blocks.{block}"
        found.update(_affine(f"{place}.norm1", dim))
        found.update(_affine(f"{place}.norm2", dim))
        found.update(_biased(f"{place}.attn.qkv", (3 * dim, dim)))
        found.update(_biased(f"{place}.attn.proj", (dim, dim)))
        found.update(_biased(f"{place}.mlp.fc1", (4 * dim, dim)))
        found.update(_biased(f"{place}.mlp.fc2", (dim, 4 * dim)))
    if config.resnet:
        found.update(_resnet(f"{model}.patch_embed.backbone", config.resnet))
    for stage in range(5 - len(config.taps), 5):
        place, out = f"pretrained.act_postprocess{stage}", config.stage_dims[stage - 1]
        found.update(_biased(f"{place}.0.project.0", (dim, 2 * dim)))
        found.update(_biased(f"{place}.3", (out, dim, 1, 1)))
        if stage != 3:
            side = {1: 4, 2: 2, 4: 3}[stage]
            found.update(_biased(f"{place}.4", (out, out, side, side)))
    wide = config.decoder_dim
    for level, into in enumerate(config.stage_dims, start=1):
        found[f"scratch.layer{level}_rn.weight"] = (wide, into, 3, 3)
        found.update(_fusion(f"scratch.refinenet{level}", wide, wide))
    half = wide // 2
    for at, shape in ((0, (half, wide, 3, 3)), (2, (32, half, 3, 3)), (4, (1, 32, 1, 1))):
        found.update(_biased(f"scratch.output_conv.{at}", shape))
    return found


def _resnet(name: str, blocks: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    found = {f"{name}.stem.conv.weight": (64, 3, 7, 7), **_affine(f"{name}.stem.norm", 64)}
    dim = 64
    for stage, count in enumerate(blocks):
        out = 256 << stage
        inner = out // 4
        for block in range(count):
            place = f"{name}.stages.{stage}.blocks.{block}"
            if block == 0:
                found[f"{place}.downsample.conv.weight"] = (out, dim, 1, 1)
                found.update(_affine(f"{place}.downsample.norm", out))
            shapes = ((inner, dim, 1, 1), (inner, inner, 3, 3), (out, inner, 1, 1))
            for number, shape in enumerate(shapes, start=1):
                found[f"{place}.conv{number}.weight"] = shape
                found.update(_affine(f"{place}.norm{number}", shape[0]))
            dim = out
    return found


def _affine(name: str, dim: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (dim,), f"{name}.bias": (dim,)}
