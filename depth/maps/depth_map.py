"""A depth result: the numbers together with what they mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

import numpy as np
import numpy.typing as npt

from depth.errors import InputError
from depth.family import METRIC, RELATIVE

FloatArray = npt.NDArray[np.float32]

FULL, MODEL = "full", "model"  # a value for every pixel of the image, or the network's own size
OUTPUT_SIZES = (FULL, MODEL)


@dataclass(frozen=True)
class Provenance:
    """Which program made a depth map, and from what. Everything a later reader may ask."""

    model: str  # "vits"
    weights: str  # checkpoint file name, or "untrained"
    weights_sha256: str
    artifact: str  # the artifact's identity (sha256 of its manifest); "" for the eager network
    target: str  # "openvino", ... or "eager"
    precision: str  # "fp32", "bf16"
    preprocess_mode: str  # "reference" or "fast"
    shape_policy: str  # "exact" or "buckets"
    model_height_px: int  # the size the network saw
    model_width_px: int
    output_size: str = FULL  # or "model": files of before there was a choice do not say


@dataclass(frozen=True)
class DepthMap:
    """Depth of one image.

    Shapes: values [H,W] float32, finite. `relative_inverse` values have no unit and no zero point:
    larger is nearer, comparable within one image only. `metric` values are metres.
    """

    values: FloatArray
    kind: str
    max_depth_m: Optional[float]
    provenance: Provenance

    def __post_init__(self) -> None:
        if self.kind not in (RELATIVE, METRIC):
            raise InputError(f"kind {self.kind!r}: expected {RELATIVE!r} or {METRIC!r}")
        if (self.kind == METRIC) != (self.max_depth_m is not None):
            raise InputError("max_depth_m belongs to metric depth, and only to it")
        if self.values.ndim != 2 or self.values.dtype != np.float32 or not self.values.size:
            raise InputError(
                f"depth values are {self.values.dtype} {self.values.shape}: "
                "expected a non-empty float32 [H,W]"
            )
