"""Depth as TIFF: uncompressed float32 values, a text in ImageDescription."""

from __future__ import annotations

import io

import numpy as np

from depth.errors import DepthFileError, first_line
from depth.maps.meta import check_size
from depth.maps.result import FloatArray


def encode_tiff(values: FloatArray, text: str) -> bytes:
    """[H,W] float32 as a TIFF file."""
    from PIL import Image  # 18 ms to import, and few jobs write TIFF

    stream = io.BytesIO()
    # Not compressed: zlib takes 205 ms for a fifth of the size (2048 x 1362).
    Image.fromarray(np.ascontiguousarray(values)).save(stream, "TIFF", description=text)
    return stream.getvalue()


def decode_tiff(data: bytes) -> tuple[FloatArray, None]:
    """[H,W] float32 of a TIFF file. Raises DepthFileError.

    Only for bytes whose hash was checked: Pillow warns about damaged tags.
    """
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data), formats=["TIFF"]) as image:
            check_size(image.height, image.width)
            if image.mode != "F":
                raise DepthFileError(f"a TIFF of mode {image.mode}: expected float32 [H,W]")
            return np.array(image), None
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise DepthFileError(f"damaged TIFF: {first_line(error)}") from error
