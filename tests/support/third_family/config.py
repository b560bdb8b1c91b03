"""The third family's only model, as data."""

from __future__ import annotations

from depth.artifact.steps import Normalise, Resize, ResizeBack
from depth.family import CONFIDENCE, RELATIVE_DEPTH, Model, Output
from depth.sizes import ONCE, UPPER, SizeRule

WIDTH = 8  # channels

MODELS: dict[str, Model] = {
    "third": Model(
        "third",
        "tests.support.third_family",
        WIDTH,
        SizeRule(UPPER, 128, 32, ONCE),
        (Resize("cubic", "area", "uint8", 1), Normalise((0.5,) * 3, (0.5,) * 3)),
        (ResizeBack("bilinear", align_corners=True),),
        (Output("depth", RELATIVE_DEPTH), Output("confidence", CONFIDENCE, "Bhw")),
    )
}
