"""Depth as OpenEXR: one 32-bit float channel "Z", ZIP compression, a string attribute "depth".

"Z" is the format's own name for depth. OpenCV knows only R, G, B and Y, and returns zeros for it.
"""

from __future__ import annotations

import io

import numpy as np

from depth.errors import DepthFileError, first_line
from depth.maps.meta import check_size
from depth.maps.result import FloatArray

CHANNEL = "Z"
ATTRIBUTE = "depth"


def encode_exr(values: FloatArray, text: str, channel: str = CHANNEL) -> bytes:
    """[H,W] float32 as an EXR file."""
    import OpenEXR  # type: ignore[import-not-found]

    header = {
        "compression": OpenEXR.ZIP_COMPRESSION,
        "type": OpenEXR.scanlineimage,
        ATTRIBUTE: text,
    }
    stream = io.BytesIO()
    # No threads of its own: the caller writes many images at once.
    with OpenEXR.File(header, {channel: np.ascontiguousarray(values)}, num_threads=0) as image:
        image.write(stream)
    return stream.getvalue()


def decode_exr(data: bytes) -> tuple[FloatArray, None]:
    """[H,W] float32 of an EXR file. Raises DepthFileError.

    Only for bytes whose hash was checked: of damaged pixels OpenEXR prints to stdout and stderr.
    """
    import OpenEXR

    options = {"separate_channels": True, "num_threads": 0}
    try:
        with OpenEXR.File(io.BytesIO(data), header_only=True, **options) as image:
            (left, top), (right, bottom) = image.header()["dataWindow"]
        check_size(int(bottom) - int(top) + 1, int(right) - int(left) + 1)
        with OpenEXR.File(io.BytesIO(data), **options) as image:
            return image.channels()[CHANNEL].pixels, None
    except (KeyError, RuntimeError, ValueError) as error:
        raise DepthFileError(
            f"damaged EXR, or one without {CHANNEL}: {first_line(error)}"
        ) from error
