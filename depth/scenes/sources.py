"""Source images of views that lie in files: read again when an export writes them."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Optional, Union

import numpy as np

from depth.errors import InputError
from depth.images.read import ImageFile, SourceImage, decode, printable
from depth.scenes.scene import Pixels, Source


def source_of_file(
    path: Path, window: Optional[tuple[float, float, float, float]] = None
) -> Source:
    """The image in a file, upright; only its header is kept in memory.

    window  as of `Source`, in px of the upright image

    Raises ImageError for a file that is no image; its pixels are decoded by the export.
    """
    return source_of_image(ImageFile.read(path), path, window)


def source_of_image(
    image: Union[ImageFile, SourceImage],
    path: Optional[Path] = None,
    window: Optional[tuple[float, float, float, float]] = None,
) -> Source:
    """An image that has been opened.

    path  of its file, which is read again; without it, the image stays in memory

    Raises ImageError for a file that is no image.
    """
    size = image.header.height_px, image.header.width_px
    if path is not None:
        return Source(size, partial(_pixels, path, image.sha256), window)
    return Source(size, lambda: _rgb(image), window)


def _rgb(image: Union[ImageFile, SourceImage]) -> Pixels:
    found = decode(image) if isinstance(image, ImageFile) else image
    return np.ascontiguousarray(found.pixels[..., ::-1])


def _pixels(path: Path, sha256: str) -> Pixels:
    file = ImageFile.read(path)
    if file.sha256 != sha256:
        raise InputError(
            f"{printable(path)}: its bytes have changed since the scene was made of it: make the "
            "scene again"
        )
    return _rgb(file)
