"""Depth Anything 3 (Lin et al., 2025): its models of one view, as data.

The network is Depth Anything V2's large one, with another last LayerNorm, exp at its end, and a
second head for the sky.
"""

from __future__ import annotations

from depth.artifact.steps import MetresFromFocal, Resize, ResizeBack, SkyToFar
from depth.family import (
    FOCAL_NORMALISED,
    IMAGENET,
    IMAGES,
    METRES,
    RELATIVE_DEPTH,
    SKY,
    Model,
    ModelConfig,
    Output,
    Port,
    Stage,
)
from depth.sizes import TWICE, UPPER, SizeRule

FOCAL_DIVISOR = 300.0  # metres = depth * focal length / 300


PATCH_PX = 14  # side of one patch
LARGE = ModelConfig(
    "mono-large", 1024, 24, 16, (4, 11, 17, 23), 256, (256, 512, 1024, 1024), norm_eps=1e-5
)

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


def model_row(name: str, config: ModelConfig, size: SizeRule = SIZE, metric: bool = False) -> Model:
    """A model of one view: depth without unit, larger is farther, and where the sky is.

    metric  depth is metres once the focal length is known
    """
    depth = Output("depth", RELATIVE_DEPTH)
    if metric:
        depth = Output("depth", FOCAL_NORMALISED, becomes=METRES)
    return Model(
        name,
        "depth_anything_3",
        config,
        size,
        BEFORE,
        (FAR, METRIC, BACK) if metric else (FAR, BACK),
        (depth, Output("sky", SKY)),
        SPLIT,
        "metres need the focal length of the camera" if metric else "",
        weights_like=config.name,
        native_px=518,
    )


MONO_MODELS: dict[str, Model] = {
    "da3mono-large": model_row("da3mono-large", LARGE),
    "da3metric-large": model_row("da3metric-large", LARGE, metric=True),
}
