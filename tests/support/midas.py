"""Small networks of MiDaS, and published state dicts of ours under upstream's names."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from compile.specialise import specialise
from compile.untrained import untrained_checkpoint
from depth.family import Model
from depth.sizes import Size
from midas.config import SMALL, SMALL_MODEL, Stage
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
SIZE: Size = (64, 96)


def small_network(size: Size = SIZE, model: Model = TINY_MODEL) -> MidasSmall:
    """With fixed-seed weights, at a size."""
    made = specialise(model, untrained_checkpoint(model), size)
    assert isinstance(made, MidasSmall)
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
