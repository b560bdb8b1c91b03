"""An image inside the fixed size of a network, its aspect ratio kept, and where it lies there.

As YOLO networks are fed: scaled by the smaller of both ratios, centred, the rest filled with one
level. The sides of the filling differ by a pixel where their sum is odd: the smaller one comes
first.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from depth.artifact.steps import Letterbox, Normalise
from depth.errors import InputError
from depth.maps.result import FloatArray
from depth.sizes import Size


@dataclass(frozen=True)
class Placed:
    """Where an image lies inside the network's input, in px."""

    image: Size  # (height, width) of the image
    network: Size  # of the network's input
    inner: Size  # of the image once it is scaled
    top: int
    left: int


def placed(image: Size, network: Size) -> Placed:
    """Where an image of (height, width) px lies. Raises InputError if nothing is left of it."""
    scale = min(network[0] / image[0], network[1] / image[1])
    height, width = (min(round(side * scale), most) for side, most in zip(image, network))
    if height < 1 or width < 1:
        raise InputError(
            f"{image[1]}x{image[0]} px: too narrow for a network of {network[1]}x{network[0]} px; "
            "crop the image"
        )
    return Placed(
        image, network, (height, width), (network[0] - height) // 2, (network[1] - width) // 2
    )


def letterboxed(
    pixels: npt.NDArray[np.uint8], place: Placed, step: Letterbox, normalise: Normalise
) -> FloatArray:
    """Pixels [H,W,3] uint8, BGR, to [1,3,h,w] float32, RGB, normalised."""
    height, width = place.inner
    inner = pixels
    if pixels.shape[:2] != place.inner:
        inner = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_LINEAR).astype(np.uint8)
    whole = np.full((*place.network, 3), step.level, np.uint8)
    whole[place.top : place.top + height, place.left : place.left + width] = inner
    mean, std = (np.array(values, np.float32) for values in (normalise.mean, normalise.std))
    values = (whole[:, :, ::-1].astype(np.float32) / np.float32(255) - mean) / std
    return np.ascontiguousarray(values.transpose(2, 0, 1)[np.newaxis])
