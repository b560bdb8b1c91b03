"""Images as upstream's input processor makes them: RGB, resized or cropped, normalised."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any, Union

import numpy as np
import numpy.typing as npt
from PIL import Image

from depth.artifact.steps import Resize
from depth.errors import ImageError, InputError, first_line
from depth.family import IMAGENET
from depth.files import read_regular
from depth.images.header import MAX_PIXELS
from depth.images.read import MAX_FILE_BYTES
from depth.maps.result import FloatArray
from depth.preprocess import Preparation
from depth.sizes import LOWER, TWICE, UPPER, Size, SizeRule, size_text
from depth_anything_3.mono import BEFORE, PATCH_PX

logger = logging.getLogger(__name__)

METHODS = {
    "upper_bound_resize": (UPPER, False),
    "upper_bound_crop": (UPPER, True),
    "lower_bound_resize": (LOWER, False),
    "lower_bound_crop": (LOWER, True),
}
_ONE_PASS = (Resize("cubic", "area", "uint8", 1), IMAGENET)
_THREADS = 8

Pixels = npt.NDArray[np.uint8]
Doubles = npt.NDArray[np.float64]
Source = Union[Pixels, Image.Image, str, Path]


@dataclass(frozen=True)
class Place:
    """Where the network's input lies in its source image: x = scale * source x - cut.

    source  (height, width) px of the image
    scale   along x and y
    cut     px of the scaled image that the input has not, at the left and at the top
    """

    source: Size
    scale: tuple[float, float]
    cut: tuple[int, int] = (0, 0)

    def lens(self, intrinsics: Doubles) -> Doubles:
        """Intrinsics [3,3] in px of the source image -> in px of the network's input."""
        found = intrinsics.copy()
        found[:2] *= np.array(self.scale)[:, None]
        found[:2, 2] -= self.cut
        return found

    def window(self, size: Size) -> tuple[float, float, float, float]:
        """(left, top, width, height) px: what the source image has of an input of this size."""
        (across, down), (height, width) = self.scale, self.source
        left, top = self.cut[0] / across, self.cut[1] / down
        return left, top, min(size[1] / across, width - left), min(size[0] / down, height - top)


@dataclass(frozen=True, eq=False)
class Inputs:
    """Network inputs of one size, and where each lies in its source image."""

    images: FloatArray  # [N,3,H,W]
    places: tuple[Place, ...]


@dataclass(frozen=True, eq=False)
class _View:
    image: FloatArray  # [1,3,H,W]
    place: Place


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
    if method not in METHODS:
        raise InputError(f"process_res_method {method!r}: choose from {', '.join(METHODS)}")
    if not images:
        raise InputError("no images")
    bound, crops = METHODS[method]
    rule = SizeRule(bound, process_res, PATCH_PX, TWICE)
    prepare = _cropped if crops else _resized
    with ThreadPoolExecutor(min(_THREADS, len(images))) as pool:
        found = list(pool.map(lambda image: prepare(_bgr(image), rule), images))
    views = _of_one_size(found)
    return Inputs(np.concatenate([v.image for v in views]), tuple(v.place for v in views))


def rgb(image: Source) -> Pixels:
    """An image's pixels [H,W,3] uint8. Raises ImageError, or InputError for no image at all."""
    return np.asarray(_opened(image))


def shown(images: FloatArray) -> Pixels:
    """Network inputs [N,3,H,W] as RGB [N,H,W,3] uint8: cut off, not rounded, as upstream does."""
    levels = images.transpose(0, 2, 3, 1) * np.array(IMAGENET.std) + np.array(IMAGENET.mean)
    return (np.clip(levels, 0, 1) * 255).astype(np.uint8)


def _resized(pixels: Pixels, rule: SizeRule) -> _View:
    size = rule.size_for(*pixels.shape[:2])
    return _View(Preparation(BEFORE, rule)(pixels, size), _whole(pixels, size))


def _cropped(pixels: Pixels, rule: SizeRule) -> _View:
    rule.size_for(*pixels.shape[:2])  # refuses what is too large
    whole = rule.whole_px(*pixels.shape[:2])
    size = whole[0] // PATCH_PX * PATCH_PX, whole[1] // PATCH_PX * PATCH_PX
    rule.check(size)
    scaled = _View(Preparation(_ONE_PASS, rule)(pixels, whole), _whole(pixels, whole))
    return _centre(scaled, size)


def _whole(pixels: Pixels, size: Size) -> Place:
    height, width = pixels.shape[:2]
    return Place((height, width), (size[1] / width, size[0] / height))


def _centre(view: _View, size: Size) -> _View:
    """The part of this (height, width) px around the centre."""
    top, left = ((have - want) // 2 for have, want in zip(view.image.shape[2:], size))
    cut = view.place.cut[0] + left, view.place.cut[1] + top
    part = view.image[:, :, top : top + size[0], left : left + size[1]]
    return _View(part, replace(view.place, cut=cut))


def _of_one_size(found: list[_View]) -> list[_View]:
    sizes = {(view.image.shape[2], view.image.shape[3]) for view in found}
    if len(sizes) == 1:
        return found
    least = min(height for height, _ in sizes), min(width for _, width in sizes)
    logger.warning(
        "images of %s px are cropped around their centres to %s px",
        ", ".join(map(size_text, sorted(sizes))),
        size_text(least),
    )
    return [_centre(view, least) for view in found]


def _bgr(image: Source) -> Pixels:
    return rgb(image)[:, :, ::-1]


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
