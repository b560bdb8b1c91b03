"""Depth maps for the tests of depth files."""

from __future__ import annotations

from typing import Any

import numpy as np

from depth.family import METRIC, RELATIVE
from depth.maps.depth_map import DepthMap, FloatArray, Provenance
from depth.maps.formats import CODECS

KINDS = (RELATIVE, METRIC)
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
)


def ramp(height_px: int = 5, width_px: int = 7, low: float = 0.25, high: float = 9.5) -> FloatArray:
    """Rising values, no two rows or columns alike, so that a flip or a transpose shows."""
    count = height_px * width_px
    return np.linspace(low, high, count).astype(np.float32).reshape(height_px, width_px)


def depth_map(values: FloatArray, kind: str = RELATIVE, max_depth_m: float = 20.0) -> DepthMap:
    """`values` with a meaning."""
    return DepthMap(values, kind, max_depth_m if kind == METRIC else None, MADE_BY)


def pixels_for(name: str, values: FloatArray) -> np.ndarray[Any, Any]:
    """`values`, enlarged, in the dtype that the codec `name` stores."""
    return (values * 1000).astype(CODECS[name].dtype)
