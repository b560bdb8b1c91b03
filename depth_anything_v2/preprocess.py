"""Image pixels to network input. Without torch.

Mode `reference` gives upstream's numbers: cubic resize by OpenCV in float64, scaled to 0..1,
ImageNet normalisation, float32 (`image2tensor` in upstream's dpt.py).
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from depth_anything_v2.depth_map import FloatArray
from depth_anything_v2.errors import InputError

REFERENCE = "reference"
MEAN = (0.485, 0.456, 0.406)  # ImageNet, RGB, of values in 0..1
STD = (0.229, 0.224, 0.225)
INTERPOLATION = "cubic"


def prepare(pixels: npt.NDArray[np.uint8], size: tuple[int, int]) -> FloatArray:
    """Pixels [H,W,3] uint8, BGR as OpenCV reads them, to [1,3,h,w] float32 for size (h, w) px.

    Raises InputError if the pixels are anything else.
    """
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
        raise InputError(
            f"pixels are {pixels.dtype} {pixels.shape}: expected a non-empty uint8 [H,W,3], BGR"
        )
    height, width = size
    # Resizing is linear, so the division by 255 can wait until there are fewer pixels.
    resized = cv2.resize(pixels.astype(np.float64), (width, height), interpolation=cv2.INTER_CUBIC)
    result = np.empty((1, 3, height, width), np.float32)
    for channel, (mean, std) in enumerate(zip(MEAN, STD)):
        plane = resized[:, :, 2 - channel] * (1 / (255 * std))  # BGR to RGB
        np.subtract(plane, mean / std, out=result[0, channel], casting="same_kind")
    return result
