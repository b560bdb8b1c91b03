"""Pictures as an MP4 file, by the package `av`, which not everybody has."""

from __future__ import annotations

import io
from collections.abc import Iterable
from fractions import Fraction
from importlib.util import find_spec
from typing import Any

import numpy as np
import numpy.typing as npt

from depth.errors import InputError

_CODEC, _PIXELS = "libx264", "yuv420p"  # what every player takes
_QUALITY = {"crf": "18", "preset": "medium"}


def has_video() -> bool:
    """Whether the package is installed."""
    return find_spec("av") is not None


def encoded_mp4(pictures: Iterable[npt.NDArray[np.uint8]], fps: float) -> bytes:
    """H.264 of pictures [H,W,3] RGB of one size, which is not below 2 px; odd sides lose a px.

    The same pictures give the same bytes, by the same version of the package. Raises InputError
    without the package, and for no picture.
    """
    if not has_video():
        raise InputError("a video needs the package av: install it, or choose another format")
    import av

    file = io.BytesIO()
    stream: Any = None
    with av.open(file, "w", format="mp4") as container:
        for picture in pictures:
            height, width = (side - side % 2 for side in picture.shape[:2])
            if stream is None:
                rate = Fraction(fps).limit_denominator(1000)
                stream = container.add_stream(_CODEC, rate=rate, options=_QUALITY)
                stream.width, stream.height, stream.pix_fmt = width, height, _PIXELS
                stream.thread_count = 1
            plain = np.ascontiguousarray(picture[:height, :width])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(plain, format="rgb24")))
        if stream is None:
            raise InputError("a video of no pictures: expected at least one")
        container.mux(stream.encode())
    return file.getvalue()
