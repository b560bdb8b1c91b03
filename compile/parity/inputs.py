"""The test images of the parity gate: photographs where there are any, and hard cases always."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from depth.errors import ImageError
from depth.family import Model
from depth.images.listing import list_images
from depth.images.read import read_image
from depth.maps.result import FloatArray
from depth.preprocess import Preparation
from depth.sizes import Size

logger = logging.getLogger(__name__)
Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class ParityInput:
    """One test image as network input [1,3,h,w]."""

    name: str
    image: FloatArray


@dataclass(frozen=True)
class Picture:
    name: str  # printable
    pixels: Pixels  # [H,W,3] BGR
    sha256: str = ""  # of the file, where there is one


def photographs(folder: Path, limit: int) -> list[Picture]:
    """The first readable images of a folder, or the image `folder`; none if there is neither.

    Images that cannot be read are left out and logged.
    """
    found: list[Picture] = []
    for path in list_images(folder) if folder.is_dir() else [folder][: folder.is_file()]:
        if len(found) == limit:
            break
        try:
            image = read_image(path)
            found.append(Picture(printable(path.name), image.pixels, image.sha256))
        except ImageError as error:
            logger.info("not used as a test image: %s", error)
    return found


def printable(name: str) -> str:
    """A file's name on one line of UTF-8: a name may hold any byte, and reports must not."""
    text = os.fsencode(name).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def parity_inputs(model: Model, size: Size, real: Sequence[Picture] = ()) -> list[ParityInput]:
    """Test images as a model sees them at (height, width) px: hard cases, then the photographs."""
    prepare = Preparation(model.before, model.size)
    made = hard_cases(size)
    return [ParityInput(image.name, prepare(image.pixels, size)) for image in (*made, *real)]


def hard_cases(size: Size) -> list[Picture]:
    """Pictures of (height, width) px that tell networks apart."""
    return [
        Picture("constant", np.full((*size, 3), 127, np.uint8)),
        Picture("noise", _noise(size)),
        Picture("thin lines", _thin_lines(size)),
        Picture("scene", _scene(size)),
    ]


def _noise(size: Size) -> Pixels:
    return np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)


def _thin_lines(size: Size) -> Pixels:
    """White lines of 1 px on black, 13 px apart: they drift across the 14 px patches."""
    pixels = np.zeros((*size, 3), np.uint8)
    pixels[::13] = 255
    pixels[:, ::13] = 255
    return pixels


def _scene(size: Size) -> Pixels:
    """A smooth ground with a few flat boxes: the statistics of a simple picture."""
    height, width = size
    rng = np.random.default_rng(1)
    down, across = np.linspace(0, 1, height)[:, None], np.linspace(0, 1, width)[None]
    pixels = np.stack(
        [80 + 120 * down + 0 * across, 90 + 60 * across + 40 * down, 160 - 80 * down * across], 2
    )
    for _ in range(12):
        top, left = rng.integers(0, height * 3 // 4), rng.integers(0, width * 3 // 4)
        box = slice(top, top + height // 5), slice(left, left + width // 8)
        pixels[box] = 0.3 * pixels[box] + 0.7 * rng.uniform(0, 255, 3)
    return (pixels + rng.normal(0, 4, pixels.shape)).clip(0, 255).astype(np.uint8)
