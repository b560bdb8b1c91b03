"""A picture for eyes: the image, with what is left out tinted."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from depth.maps.thumbnail import reduced
from depth.masks.rules import Region

_TINT_BGR = (60, 40, 230)  # red
_STRENGTH = 0.55
_QUALITY = 85


def overlay(pixels: npt.NDArray[np.uint8], region: Region) -> bytes:
    """A JPEG of at most 480 px a side.

    pixels  uint8 [H,W,3] BGR, upright
    region  [H,W], of the same size
    """
    small = reduced(pixels)
    height, width = small.shape[:2]
    share = cv2.resize(region.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
    weight = np.float32(_STRENGTH) * share[..., np.newaxis]
    mixed = small * (1 - weight) + np.array(_TINT_BGR, np.float32) * weight
    levels = np.rint(mixed).astype(np.uint8)
    _, data = cv2.imencode(".jpg", levels, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return data.tobytes()
