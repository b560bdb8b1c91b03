"""Images as upstream's input processor makes them: RGB, resized or cropped, normalised."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Union

import numpy as np
from PIL import Image

from depth.errors import ImageError, InputError, first_line
from depth.files import read_regular
from depth.images.header import MAX_PIXELS
from depth.images.read import MAX_FILE_BYTES
from depth.maps.result import FloatArray
from depth.scenes.inputs import Inputs as SceneInputs
from depth.scenes.inputs import Pixels, Place, centre, planned
from depth.sizes import Size
from depth_anything_3.mono.config import BEFORE, SIZE

_THREADS = 8
_INPUTS = SceneInputs(BEFORE, SIZE)

Source = Union[Pixels, Image.Image, str, Path]


@dataclass(frozen=True, eq=False)
class Inputs:
    """Network inputs of one size, and where each lies in its source image."""

    images: FloatArray  # [N,3,H,W]
    places: tuple[Place, ...]


def network_inputs(images: Sequence[Source], process_res: int, method: str) -> FloatArray:
    """[N,3,H,W] float32 of images; see `placed_inputs`."""
    return placed_inputs(images, process_res, method).images


def placed_inputs(images: Sequence[Source], process_res: int, method: str) -> Inputs:
    """Network inputs of images given as paths, RGB arrays [H,W,3] uint8, or Pillow images.

    process_res  px of the long side (`upper_bound_*`) or the short side (`lower_bound_*`)
    method       `*_resize` goes to the nearest multiples of 14 px, `*_crop` cuts down to them

    Images of several sizes are cropped around their centres to the least height and width, which
    the log says. The EXIF orientation is ignored, as upstream does. Raises InputError, for an image
    ImageError.
    """

    def alone(image: Source) -> tuple[Size, FloatArray]:
        pixels = rgb(image)
        size = pixels.shape[0], pixels.shape[1]
        plan = planned([size], SIZE, process_res, method)
        return size, _INPUTS.of(pixels[:, :, ::-1], plan, 0)

    with ThreadPoolExecutor(max(1, min(_THREADS, len(images)))) as pool:
        found = list(pool.map(alone, images))
    plan = planned([size for size, _ in found], SIZE, process_res, method)
    return Inputs(np.concatenate([centre(image, plan.size) for _, image in found]), plan.places)


def rgb(image: Source) -> Pixels:
    """An image's pixels [H,W,3] uint8. Raises ImageError, or InputError for no image at all."""
    return np.asarray(_opened(image))


def shown(images: FloatArray) -> Pixels:
    """Network inputs [N,3,H,W] as RGB [N,H,W,3] uint8: cut off, not rounded, as upstream does."""
    return _INPUTS.shown(images)


def _opened(image: Any) -> Image.Image:
    try:
        if isinstance(image, (str, Path)):
            data = BytesIO(read_regular(Path(image), MAX_FILE_BYTES))
            with Image.open(data) as opened:
                if opened.width * opened.height > MAX_PIXELS:
                    raise ValueError(f"{opened.width}x{opened.height} px, over {MAX_PIXELS} pixels")
                return opened.convert("RGB")
        if isinstance(image, np.ndarray):
            return Image.fromarray(image).convert("RGB")
        if isinstance(image, Image.Image):
            return image.convert("RGB")
    except (OSError, ValueError, TypeError, SyntaxError, Image.DecompressionBombError) as error:
        name = image if isinstance(image, (str, Path)) else "an image"
        raise ImageError(f"{name}: cannot be read: {first_line(error)}") from error
    raise InputError(
        f"an image is a {type(image).__name__}: expected a path, an RGB array or a Pillow image"
    )
