"""Depth Anything 3 (Lin et al., 2025): its models, as data. So far those of one view.

The network is Depth Anything V2's large one, with another last LayerNorm, exp at its end, and a
second head for the sky.
"""

from __future__ import annotations

from dataclasses import dataclass

from depth.artifact.steps import HostStep, MetresFromFocal, Resize, ResizeBack, SkyToFar
from depth.family import (
    FOCAL_NORMALISED,
    IMAGENET,
    IMAGES,
    METRES,
    RELATIVE_DEPTH,
    SKY,
    Model,
    Output,
    Port,
    Stage,
)
from depth.sizes import TWICE, UPPER, SizeRule

PATCH_PX = 14  # side of one patch
NORM_EPS = 1e-5  # of the encoder's last LayerNorm
FOCAL_DIVISOR = 300.0  # metres = depth * focal length / 300


@dataclass(frozen=True)
class MonoConfig:
    """The size of a network of one view. Decoder stages 0..3 have strides 3.5, 7, 14 and 28 px."""

    name: str
    embed_dim: int
    depth: int
    num_heads: int
    taps: tuple[int, int, int, int]  # encoder blocks whose output feeds the decoder
    decoder_dim: int
    stage_dims: tuple[int, int, int, int]


LARGE = MonoConfig("mono-large", 1024, 24, 16, (4, 11, 17, 23), 256, (256, 512, 1024, 1024))

SIZE = SizeRule(UPPER, 504, PATCH_PX, TWICE)
BEFORE = (Resize("cubic", "area", "uint8", 2), IMAGENET)
FAR = SkyToFar(threshold=0.3, quantile=0.99, least_pixels=10, most_values=100_000, seed=0)
METRIC = MetresFromFocal(FOCAL_DIVISOR)
BACK = ResizeBack("bilinear", align_corners=True)
FEATURES = Port("features", "BNC")  # the four token maps side by side
SPLIT = (
    Stage("encoder", (IMAGES,), (FEATURES,)),
    Stage("decoder", (FEATURES,), (Port("depth", "BHW"), Port("sky", "BHW"))),
)


def mono(name: str, config: MonoConfig, size: SizeRule = SIZE) -> Model:
    """Depth without unit, larger is farther, and where the sky is."""
    return _model(name, config, size, Output("depth", RELATIVE_DEPTH), (FAR, BACK))


def metric(name: str, config: MonoConfig, size: SizeRule = SIZE) -> Model:
    """Depth that is metres once the focal length is known, and where the sky is."""
    depth = Output("depth", FOCAL_NORMALISED, becomes=METRES)
    remark = "metres need the focal length of the camera"
    return _model(name, config, size, depth, (FAR, METRIC, BACK), remark)


def _model(
    name: str,
    config: MonoConfig,
    size: SizeRule,
    depth: Output,
    after: tuple[HostStep, ...],
    remark: str = "",
) -> Model:
    return Model(
        name,
        "depth_anything_3",
        config,
        size,
        BEFORE,
        after,
        (depth, Output("sky", SKY)),
        SPLIT,
        remark,
        weights_like=config.name,
    )


MODELS: dict[str, Model] = {
    model.name: model for model in (mono("da3mono-large", LARGE), metric("da3metric-large", LARGE))
}

# Upstream's other names. `api.DepthAnything3` refuses them by what they are.
ANY_VIEW = ("da3-small", "da3-base", "da3-large", "da3-giant", "da3nested-giant-large")
