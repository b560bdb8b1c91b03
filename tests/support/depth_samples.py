"""Results for the tests of depth files."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Optional

import numpy as np

from depth.family import CONFIDENCE, DEPTH, DEPTH_KINDS, METRES, RELATIVE_INVERSE, SKY
from depth.maps.formats import CODECS
from depth.maps.result import FloatArray, Focal, Map, Provenance, Result

KINDS = DEPTH_KINDS
SOURCE: dict[str, Any] = {"path": "in/dépôt.jpg", "width_px": 7, "sha256": "ab" * 32}
MADE_BY = Provenance(
    model="vits",
    weights="depth_anything_v2_vits.pth",
    weights_sha256="cd" * 32,
    artifact="ef" * 32,
    target="openvino",
    precision="fp32",
    preprocess_mode="reference",
    shape_policy="exact",
    model_height_px=518,
    model_width_px=686,
    output_size="full",
    steps=("sky_to_far(seed=0)", "resize_back"),
)


def ramp(height_px: int = 5, width_px: int = 7, low: float = 0.25, high: float = 9.5) -> FloatArray:
    """Rising values, no two rows or columns alike, so that a flip or a transpose shows."""
    count = height_px * width_px
    return np.linspace(low, high, count).astype(np.float32).reshape(height_px, width_px)


def depth_of(
    values: FloatArray, kind: str = RELATIVE_INVERSE, largest: Optional[float] = 20.0
) -> Map:
    """`values` with a meaning; metres with a largest value."""
    return Map(values, kind, largest if kind == METRES else None)


def result(
    values: FloatArray, kind: str = RELATIVE_INVERSE, largest: Optional[float] = 20.0
) -> Result:
    """A result of depth alone."""
    return Result({DEPTH: depth_of(values, kind, largest)}, MADE_BY)


def several(height_px: int = 5, width_px: int = 7) -> Result:
    """Metres by a focal length, with sky, and confidence at another size."""
    found = result(ramp(height_px, width_px), METRES, None)
    sky = Map(ramp(height_px, width_px, 0.0, 1.0), SKY)
    confidence = Map(ramp(4, 3, 1.0, 9.0), CONFIDENCE)
    maps = {"sky": sky, "confidence": confidence, **found.maps}
    return replace(found, maps=maps, focal=Focal(525.5, "fov_deg"))


def pixels_for(name: str, values: FloatArray) -> np.ndarray[Any, Any]:
    """`values`, enlarged, in the dtype that the codec `name` stores."""
    return (values * 1000).astype(CODECS[name].dtype)
