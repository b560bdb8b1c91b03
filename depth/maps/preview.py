"""Eight-bit pictures of depth, for eyes only: near is warm, whatever the kind.

Levels, colours and truncations are those of Depth Anything V2's command lines. `relative_inverse`
is drawn as their relative program draws it (palette `Spectral_r`). The other kinds grow the other
way and are drawn as their metric program draws metres (palette `Spectral`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

import cv2
import numpy as np
import numpy.typing as npt

from depth.family import RELATIVE_INVERSE
from depth.maps.result import FloatArray, Map

Levels = npt.NDArray[np.uint8]
Span = tuple[np.float32, np.float32]  # lowest and highest value

# ColorBrewer's eleven-class diverging scheme "Spectral", RGB.
_SPECTRAL_RGB = (
    (158, 1, 66),
    (213, 62, 79),
    (244, 109, 67),
    (253, 174, 97),
    (254, 224, 139),
    (255, 255, 191),
    (230, 245, 152),
    (171, 221, 164),
    (102, 194, 165),
    (50, 136, 189),
    (94, 79, 162),
)


def _table(colours: Sequence[tuple[int, int, int]], stops: npt.NDArray[np.float64]) -> Levels:
    """[256,1,3] BGR: straight lines between `colours`, which lie at `stops` in 0..1."""
    rgb = np.array(colours) / 255.0
    at = stops * 255
    level = np.arange(256.0)
    left = np.clip(np.searchsorted(at, level) - 1, 0, len(rgb) - 2)
    share = ((level - at[left]) / (at[left + 1] - at[left]))[:, np.newaxis]
    # Truncated, and in this order of operations, so that the values that should fall exactly on a
    # whole number come out on the same side of it as in matplotlib.
    table = ((share * (rgb[left + 1] - rgb[left]) + rgb[left]) * 255).astype(np.uint8)
    return np.ascontiguousarray(table[:, np.newaxis, ::-1])


_STOPS = np.linspace(0, 1, len(_SPECTRAL_RGB))
WARM_LAST = _table(_SPECTRAL_RGB[::-1], 1 - _STOPS[::-1])  # matplotlib's "Spectral_r"
WARM_FIRST = _table(_SPECTRAL_RGB, _STOPS)  # matplotlib's "Spectral"


def upstream_levels(values: FloatArray, span: Optional[Span] = None) -> Levels:
    """[H,W] float32 -> [H,W] uint8: min..max stretched to 0..255, truncated; all 0 if constant.

    The original's `(d - d.min()) / (d.max() - d.min()) * 255`, in float32, and defined for a
    constant image, where that divides by zero.

    span  takes the place of min and max
    """
    low, high = span or (values.min(), values.max())
    if not low < high:
        return np.zeros(values.shape, np.uint8)
    scaled = values - low
    scaled /= high - low
    scaled *= np.float32(255)
    return scaled.astype(np.uint8)


def colour_preview(depth: Map) -> Levels:
    """[H,W,3] uint8 BGR; near is red, far is blue."""
    low, high = map(np.float32, depth.ends)
    return colours_of(upstream_levels(np.clip(depth.values, low, high), (low, high)), depth.kind)


def colours_of(levels: Levels, kind: str) -> Levels:
    """[H,W] levels of depth of this kind -> [H,W,3] uint8 BGR."""
    table = WARM_LAST if kind == RELATIVE_INVERSE else WARM_FIRST
    return cv2.applyColorMap(levels, table).astype(np.uint8, copy=False)
