"""Upstream's pictures: what its run.py writes, made by a compiled program."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np
import numpy.typing as npt

from depth.images.read import SourceImage
from depth.maps import png
from depth.maps.preview import WARM_LAST, upstream_levels
from depth.maps.result import FloatArray, Result
from serve.folder.flat.job import FlatJob

Pixels = npt.NDArray[np.uint8]

_GAP_PX = 50  # white, between the photograph and its depth


@dataclass(frozen=True)
class PictureJob(FlatJob):
    """The options of upstream's run.py: a PNG for every image."""

    suffix: ClassVar[str] = ".png"
    files: ClassVar[int] = 7
    pred_only: bool  # without the photograph at the left
    grayscale: bool

    def encoded(self, source: SourceImage, result: Result) -> bytes:
        pixels = drawn(source.pixels, result.depth.values, self.pred_only, self.grayscale)
        return png.encode(pixels)


def drawn(pixels: Pixels, depth: FloatArray, pred_only: bool, grayscale: bool) -> Pixels:
    """Depth [H,W] in colours or gray, beside its image [H,W,3] uint8 BGR: uint8 BGR."""
    levels = upstream_levels(depth)
    if grayscale:
        found = cv2.cvtColor(levels, cv2.COLOR_GRAY2BGR)
    else:
        found = cv2.applyColorMap(levels, WARM_LAST)
    if pred_only:
        return found.astype(np.uint8, copy=False)
    gap = np.full((pixels.shape[0], _GAP_PX, 3), 255, np.uint8)
    return np.hstack([pixels, gap, found]).astype(np.uint8, copy=False)
