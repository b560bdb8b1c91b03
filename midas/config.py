"""MiDaS v2.1 small, DPT-Large and DPT-Hybrid, as data.

Ranftl et al., "Towards Robust Monocular Depth Estimation", 2022 (v2.1); Ranftl, Bochkovskiy and
Koltun, "Vision Transformers for Dense Prediction", 2021 (DPT, which upstream calls v3).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from depth.artifact.steps import Normalise, Resize, ResizeBack
from depth.family import IMAGENET, RELATIVE_INVERSE, Model, Output
from depth.sizes import MINIMAL, ONCE, UPPER, SizeRule

REMARK = "inverse depth of unknown scale and unknown shift"
MULTIPLE_PX = 32


@dataclass(frozen=True)
class Stage:
    """Blocks of one width. Only the first block has the stride; the kernel is square."""

    blocks: int
    kernel_px: int
    stride: int
    expansion: int  # of the channels inside a block
    channels: int


@dataclass(frozen=True)
class SmallConfig:
    """The dimensions of a network of an EfficientNet-Lite encoder and a widening decoder."""

    name: str
    stem: int  # channels
    stages: tuple[Stage, ...]
    taps: tuple[int, int, int, int]  # stages whose output feeds the decoder
    decoder_dims: tuple[int, int, int, int]  # channels of the decoder's stages, the finest first
    norm_eps: float = 1e-3  # of BatchNorm


@dataclass(frozen=True)
class DptConfig:
    """The dimensions of a network of one vision transformer and one DPT decoder.

    `resnet` has the blocks of each stage of a ResNetV2 in front of the transformer, or nothing. Its
    stages are as wide as the first stage of the decoder, twice and four times as wide. Its first
    two stages feed the decoder, and two `taps` the rest.
    """

    name: str
    embed_dim: int
    depth: int
    num_heads: int
    taps: tuple[int, ...]  # transformer blocks whose output feeds the decoder
    decoder_dim: int
    stage_dims: tuple[int, int, int, int]
    patch_px: int = 16
    native_grid: int = 24  # patches per side of the position embedding
    resnet: tuple[int, ...] = ()


SMALL = SmallConfig(
    "midas-small",
    32,
    (
        Stage(1, 3, 1, 1, 24),
        Stage(3, 3, 2, 6, 32),
        Stage(3, 5, 2, 6, 48),
        Stage(5, 3, 2, 6, 96),
        Stage(5, 5, 1, 6, 136),
        Stage(6, 5, 2, 6, 232),
        Stage(1, 3, 1, 6, 384),
    ),
    (1, 2, 4, 6),
    (64, 128, 256, 512),
)
LARGE = DptConfig("dpt-large", 1024, 24, 16, (5, 11, 17, 23), 256, (256, 512, 1024, 1024))
HYBRID = DptConfig("dpt-hybrid", 768, 12, 12, (8, 11), 256, (256, 512, 768, 768), resnet=(3, 4, 9))
# By name, for a refusal that says what a file looks like.
CONFIGS: dict[str, DptConfig] = {config.name: config for config in (HYBRID, LARGE)}

CUBIC = Resize("cubic", "cubic", "float64", 1)
HALF = Normalise((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))  # of values in 0..1
BACK = ResizeBack("bilinear", align_corners=True)


def model_row(config: Any, size: SizeRule, normalise: Normalise) -> Model:
    """A model of this family. The transforms are upstream's `hubconf.transforms`."""
    return Model(
        config.name,
        "midas",
        config,
        size,
        (CUBIC, normalise),
        (BACK,),
        (Output("depth", RELATIVE_INVERSE),),
        remark=REMARK,
        weights_like=config.name,
    )


SMALL_MODEL = model_row(SMALL, SizeRule(UPPER, 256, MULTIPLE_PX, ONCE), IMAGENET)
DPT_SIZE = SizeRule(MINIMAL, 384, MULTIPLE_PX, ONCE)
DPT_MODELS = tuple(model_row(config, DPT_SIZE, HALF) for config in CONFIGS.values())

MODELS: dict[str, Model] = {model.name: model for model in (SMALL_MODEL, *DPT_MODELS)}
