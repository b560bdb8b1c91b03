"""A result: its maps by name, what their numbers mean, and how they were made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Optional

import numpy as np
import numpy.typing as npt

from depth.errors import InputError
from depth.family import DEPTH, DEPTH_KINDS, MAP_KINDS, UNITS
from depth.maps.fit import FitRecord

FloatArray = npt.NDArray[np.float32]

FULL, MODEL = "full", "model"  # a value for every pixel of the image, or the network's own size
OUTPUT_SIZES = (FULL, MODEL)

FOCAL_PX, FOV_DEG, INTRINSICS, EXIF = "focal_px", "fov_deg", "intrinsics", "exif"


@dataclass(frozen=True)
class Focal:
    """A focal length, and where it came from: FOCAL_PX, FOV_DEG, INTRINSICS or EXIF."""

    px: float  # of the network's input
    source: str


@dataclass(frozen=True)
class Map:
    """One array [H,W] float32 with its meaning, one of the kinds of depth/family.py."""

    values: FloatArray
    kind: str
    largest: Optional[float] = None  # the far end of its range, where the model has one
    focal_divisor: Optional[float] = None  # focal_normalised: metres = values * focal px / this
    # Lowest and highest value that 16-bit files and previews show; None: those of `values`.
    span: Optional[tuple[float, float]] = None

    def __post_init__(self) -> None:
        if self.kind not in MAP_KINDS:
            raise InputError(f"kind {self.kind!r}: expected one of {', '.join(MAP_KINDS)}")
        if self.values.ndim != 2 or self.values.dtype != np.float32 or not self.values.size:
            raise InputError(
                f"values are {self.values.dtype} {self.values.shape}: "
                "expected a non-empty float32 [H,W]"
            )

    @property
    def ends(self) -> tuple[float, float]:
        """The lowest and the highest value that pictures show: the span, or of the values."""
        return self.span or (float(self.values.min()), float(self.values.max()))

    @property
    def unit(self) -> Optional[str]:
        """`m`, or None for values without a unit."""
        return UNITS.get(self.kind)


@dataclass(frozen=True)
class Provenance:
    """Which program made a result, and from what. Everything a later reader may ask."""

    model: str  # "vits"
    weights: str  # checkpoint file name, or "untrained"
    weights_sha256: str
    artifact: str  # the artifact's identity; "" for the eager network
    target: str  # "openvino", ... or "eager"
    precision: str  # "fp32", "bf16"
    preprocess_mode: str  # "reference" or "fast"
    shape_policy: str  # "exact" or "buckets"
    model_height_px: int  # the size the network saw
    model_width_px: int
    output_size: str  # FULL or MODEL
    steps: tuple[str, ...]  # the host steps that ran, by name; a seed as "sky_to_far(seed=0)"


@dataclass(frozen=True)
class Result:
    """What is known of one image. `depth` is always there."""

    maps: Mapping[str, Map]
    provenance: Provenance
    focal: Optional[Focal] = None  # what metres were made with
    fit: Optional[FitRecord] = None  # how depth was moved onto measured depth

    def __post_init__(self) -> None:
        if DEPTH not in self.maps or self.maps[DEPTH].kind not in DEPTH_KINDS:
            raise InputError(f"a result needs a map {DEPTH!r} of a kind of depth")

    @property
    def depth(self) -> Map:
        return self.maps[DEPTH]

    @property
    def others(self) -> dict[str, Map]:
        """All maps but depth: sky, confidence."""
        return {name: found for name, found in self.maps.items() if name != DEPTH}
