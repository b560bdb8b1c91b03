"""Source images of views that lie in files: read again when an export writes them."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Optional

import numpy as np

from depth.errors import InputError
from depth.images.read import ImageFile, decode, printable
from depth.scenes.scene import Pixels, Source


def source_of_file(
    path: Path, window: Optional[tuple[float, float, float, float]] = None
) -> Source:
    """The image in a file, upright; only its header is kept in memory.

    window  as of `Source`, in px of the upright image

    Raises ImageError for a file that is no image; its pixels are decoded by the export.
    """
    file = ImageFile.read(path)
    size = file.header.height_px, file.header.width_px
    return Source(size, partial(_pixels, path, file.sha256), window)


def _pixels(path: Path, sha256: str) -> Pixels:
    file = ImageFile.read(path)
    if file.sha256 != sha256:
        raise InputError(
            f"{printable(path)}: its bytes have changed since the scene was made of it: make the "
            "scene again"
        )
    return np.ascontiguousarray(decode(file).pixels[..., ::-1])
