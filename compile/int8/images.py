"""Calibration images for int8: which images are chosen, and as which inputs.

The parity gate measures other photographs: images that the calibration has not seen.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from compile.parity.inputs import Picture, photographs
from depth.errors import ImageError, InputError
from depth.family import Model
from depth.files import sha256_bytes
from depth.images.listing import list_images
from depth.images.read import read_image
from depth.maps.result import FloatArray
from depth.preprocess import Preparation
from depth.sizes import Size

logger = logging.getLogger(__name__)

MAX_IMAGES = 32


@dataclass(frozen=True)
class CalibrationImage:
    path: Path
    sha256: str  # of the file's bytes


@dataclass(frozen=True)
class Calibration:
    # At least one; ordered by hash, so that names do not count.
    images: tuple[CalibrationImage, ...]
    unreadable: int  # images that were to be used and could not be read

    @property
    def sha256(self) -> str:
        """One hash over those of the images."""
        return sha256_bytes("".join(image.sha256 for image in self.images).encode())

    def inputs(self, model: Model, size: Size) -> Iterator[FloatArray]:
        """A model's input [1,3,h,w] for (h, w) px: each image as it is served, and a plain one.

        The plain one has the mean colour of the first image. Walls and skies do that to a whole
        picture, and photographs alone do not show how far it takes a transformer's values.
        Raises ImageError or InputError if an image is gone or another one by now.
        """
        prepare = Preparation(model.before, model.size)
        colour = np.zeros(3)
        for number, image in enumerate(self.images):
            found = read_image(image.path)
            if found.sha256 != image.sha256:
                raise InputError(f"{image.path}: changed while it was calibrated on; run again")
            if number == 0:
                colour = found.pixels.reshape(-1, 3).mean(0)
            yield prepare(found.pixels, size)
        yield prepare(np.full((*size, 3), colour.round(), np.uint8), size)


def choose(folder: Path, for_gate: int) -> tuple[list[Picture], Calibration]:
    """At most `for_gate` photographs of a folder for the parity gate, and others to calibrate on.

    The same folder gives the same choice. Of few images the gate gets the smaller half, and of one
    image none: it has test images of its own. Raises InputError if none is left to calibrate on.
    """
    paths = list_images(folder) if folder.is_dir() else []
    for count in range(min(for_gate, len(paths) // 2), -1, -1):
        pictures = photographs(folder, count)
        calibration = _calibration(paths, {picture.sha256 for picture in pictures})
        if calibration.images:
            return pictures, calibration
    raise InputError(
        f"{folder}: no image here that can be read, and int8 has to be calibrated on some; name a "
        f"folder of photographs like those to be served, best {MAX_IMAGES} or more: --images FOLDER"
    )


def batches(images: Sequence[FloatArray], batch: int) -> Iterator[FloatArray]:
    """All images, `batch` at a time; the last ones are filled up with the first."""
    for start in range(0, len(images), batch):
        yield np.concatenate([images[(start + i) % len(images)] for i in range(batch)])


def _calibration(paths: Sequence[Path], taken: Collection[str]) -> Calibration:
    """The first readable images of a walk across the folder; copies of a photograph count once."""
    chosen: dict[str, CalibrationImage] = {}
    unreadable = 0
    for path in _across(paths):
        if len(chosen) == MAX_IMAGES:
            break
        try:
            digest = read_image(path).sha256
        except ImageError as error:
            logger.info("not calibrated on: %s", error)
            unreadable += 1
            continue
        if digest not in taken:
            chosen[digest] = CalibrationImage(path, digest)
    return Calibration(tuple(chosen[digest] for digest in sorted(chosen)), unreadable)


def _across(paths: Sequence[Path]) -> Iterator[Path]:
    """Every path once, in strides: neighbours in a folder are often of one scene."""
    stride = max(1, -(-len(paths) // MAX_IMAGES))
    for first in range(stride):
        yield from paths[first::stride]
