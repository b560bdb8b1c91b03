"""Depth Anything V2 (Yang et al., 2024): its network sizes and its models, as data.

Depth Anything V1 (Yang et al., 2024, the paper before) is the same network with other taps.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Optional

from depth.artifact.steps import Resize, ResizeBack
from depth.family import (
    IMAGENET,
    IMAGES,
    METRES,
    RELATIVE_INVERSE,
    Model,
    ModelConfig,
    Output,
    Port,
    Stage,
)
from depth.sizes import LOWER, ONCE, SizeRule

CONFIGS: dict[str, ModelConfig] = {
    config.name: config
    for config in (
        ModelConfig("demo", 192, 6, 3, (1, 2, 4, 5), 32, (24, 48, 96, 192)),
        ModelConfig("vits", 384, 12, 6, (2, 5, 8, 11), 64, (48, 96, 192, 384)),
        ModelConfig("vitb", 768, 12, 12, (2, 5, 8, 11), 128, (96, 192, 384, 768)),
        ModelConfig("vitl", 1024, 24, 16, (4, 11, 17, 23), 256, (256, 512, 1024, 1024)),
        ModelConfig("vitg", 1536, 40, 24, (9, 19, 29, 39), 384, (1536,) * 4, swiglu=True),
    )
}


SIZE = SizeRule(LOWER, 518, 14, ONCE)  # `image2tensor` in upstream's dpt.py
BEFORE = (Resize("cubic", "cubic", "float64", 1), IMAGENET)
AFTER = (ResizeBack("bilinear", align_corners=True),)
FEATURES = Port("features", "BNC")  # the four token maps side by side
SPLIT = (
    Stage("encoder", (IMAGES,), (FEATURES,)),
    Stage("decoder", (FEATURES,), (Port("depth", "BHW"),)),
)


def model_row(
    name: str,
    config: ModelConfig,
    max_depth_m: Optional[float] = None,
    side_px: int = 518,
    remark: str = "",
) -> Model:
    """A model of this family: relative inverse depth, or metres up to `max_depth_m`."""
    kind = RELATIVE_INVERSE if max_depth_m is None else METRES
    return Model(
        name,
        "depth_anything_v2",
        config,
        replace(SIZE, side_px=side_px),
        BEFORE,
        AFTER,
        (Output("depth", kind, largest=max_depth_m),),
        SPLIT,
        remark,
        weights_like=config.name,
        native_px=518,
    )


def _metric() -> Iterator[Model]:
    for size in ("vits", "vitb", "vitl"):
        for place, range_m in (("indoor", 20.0), ("outdoor", 80.0)):
            yield model_row(f"{size}-metric-{place}", CONFIGS[size], range_m)


def _version_1() -> Iterator[Model]:
    """Taps are the last four blocks (`DPT_DINOv2.forward` in upstream's depth_anything/dpt.py)."""
    for size in ("vits", "vitb", "vitl"):
        config = CONFIGS[size]
        last = config.depth
        taps = (last - 4, last - 3, last - 2, last - 1)
        yield model_row(f"v1-{size}", replace(config, taps=taps), remark="Depth Anything V1")


MODELS: dict[str, Model] = {
    model.name: model
    for model in (
        model_row("demo", CONFIGS["demo"], side_px=126),
        *(model_row(name, CONFIGS[name]) for name in ("vits", "vitb", "vitl", "vitg")),
        *_metric(),
        *_version_1(),
    )
}
