"""The small picture of a result, for eyes: the image, its depth in colours, and a legend."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from depth.errors import InputError
from depth.family import METRES, RELATIVE_INVERSE, SCENE_UNITS
from depth.maps.preview import Levels, colours_of, upstream_levels
from depth.maps.result import FloatArray, Map

SIDE_PX = 480  # the longer side of the image, and of its depth
_NARROW_PX = 220  # a legend needs this much
_GAP_PX, _BAR_PX, _TEXT_PX = 8, 10, 20
_WHITE = 255
_FONT, _FONT_SCALE, _INK = cv2.FONT_HERSHEY_SIMPLEX, 0.45, (60, 60, 60)
_QUALITY = 85
_UNITS = {METRES: " m", SCENE_UNITS: ""}  # of kinds whose numbers say something


def panel_px(height_px: int, width_px: int) -> tuple[int, int]:
    """Height and width of an image of this size in the picture."""
    scale = SIDE_PX / max(height_px, width_px)
    return max(1, round(height_px * scale)), max(1, round(width_px * scale))


def reduced(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """uint8 [H,W,3] at the size of `panel_px`."""
    small = _resized(image, *panel_px(*image.shape[:2]))
    return small.astype(np.uint8, copy=False)


def thumbnail(depth: Map, image: npt.NDArray[np.uint8] | None = None) -> bytes:
    """A JPEG file: `image` at the left if it is given, depth at the right, the legend below.

    image  uint8 [H,W,3] BGR, of any size; both are drawn at the size of `panel_px`

    Raises InputError if depth is not finite.
    """
    height_px, width_px = panel_px(*(depth.values if image is None else image).shape[:2])
    panels = [] if image is None else [_panel(_resized(image, height_px, width_px))]
    panels.append(_panel(_depth(depth, height_px, width_px), legend(depth), _bar(depth.kind)))
    gap = np.full((len(panels[0]), _GAP_PX, 3), _WHITE, np.uint8)
    whole = panels[0] if len(panels) == 1 else np.hstack([panels[0], gap, panels[1]])
    _, data = cv2.imencode(".jpg", whole, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return data.tobytes()


def legend(depth: Map) -> tuple[str, str]:
    """What stands at the near and at the far end of the bar of colours."""
    if depth.kind not in _UNITS:
        return "near", "far"
    unit, (low, high) = _UNITS[depth.kind], depth.ends
    return f"near: {low:.3g}{unit}", f"far: {high:.3g}{unit}"


def _bar(kind: str) -> Levels:
    """[1,256,3]: the colours from near to far."""
    levels = np.arange(256, dtype=np.uint8)[np.newaxis]
    return colours_of(levels[:, ::-1] if kind == RELATIVE_INVERSE else levels, kind)


def _depth(depth: Map, height_px: int, width_px: int) -> Levels:
    low, high = depth.ends
    if not (np.isfinite(low) and np.isfinite(high)):
        raise InputError(f"depth values reach from {low} to {high}: expected finite numbers")
    # Sums of large values leave float32's range.
    small = np.clip(np.nan_to_num(_resized(depth.values, height_px, width_px)), low, high)
    return colours_of(
        upstream_levels(small.astype(np.float32, copy=False), (np.float32(low), np.float32(high))),
        depth.kind,
    )


def _resized(pixels: FloatArray | Levels, height_px: int, width_px: int) -> npt.NDArray[np.generic]:
    if pixels.shape[0] > 2 * height_px:  # an average of exactly 2x2 is many times faster
        pixels = cv2.resize(pixels, (2 * width_px, 2 * height_px), interpolation=cv2.INTER_LINEAR)
    how = cv2.INTER_AREA if height_px < pixels.shape[0] else cv2.INTER_LINEAR
    return cv2.resize(pixels, (width_px, height_px), interpolation=how)


def _panel(
    picture: npt.NDArray[np.generic], ends: tuple[str, str] = ("", ""), bar: Levels | None = None
) -> Levels:
    """The picture in the middle of white, with room for a legend below."""
    height_px, width_px = picture.shape[:2]
    wide_px = max(width_px, _NARROW_PX)
    panel = np.full((height_px + _GAP_PX + _BAR_PX + _TEXT_PX, wide_px, 3), _WHITE, np.uint8)
    left_px = (wide_px - width_px) // 2
    panel[:height_px, left_px : left_px + width_px] = picture
    if bar is not None:
        below = slice(height_px + _GAP_PX, height_px + _GAP_PX + _BAR_PX)
        panel[below] = cv2.resize(bar, (wide_px, _BAR_PX), interpolation=cv2.INTER_NEAREST)
        _write(panel, ends[0], 0)
        (text_px, _), _ = cv2.getTextSize(ends[1], _FONT, _FONT_SCALE, 1)
        _write(panel, ends[1], wide_px - text_px)
    return panel


def _write(panel: Levels, text: str, left_px: int) -> None:
    place = (left_px, len(panel) - _TEXT_PX // 4)
    cv2.putText(panel, text, place, _FONT, _FONT_SCALE, _INK, 1, cv2.LINE_AA)
