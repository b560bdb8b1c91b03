"""Videos that tests write with PyAV."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path
from typing import Any, Optional

import numpy as np
import pytest

SIZE = (48, 64)  # (height, width) px
QUARTER = (0, 1, -1, 0)  # a b c d of a display matrix: a quarter turn clockwise


def av() -> Any:
    """PyAV, or the test skips."""
    return pytest.importorskip("av", reason="PyAV is not installed: it decodes videos")


def picture(number: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    """RGB: red at the left, white at the top right, and a gray that counts the frames."""
    height, width = size
    found = np.full((*size, 3), 8 * (number % 30), np.uint8)
    found[:, : width // 2] = 255, 0, 0
    found[: height // 4, width // 2 :] = 255
    return found


def write_video(
    path: Path,
    frames: int = 10,
    rate: int = 10,
    codec: str = "mpeg4",
    form: str = "yuv420p",
    sizes: tuple[tuple[int, int], ...] = (SIZE,),
    square: Optional[Fraction] = None,
) -> Path:
    """A video of `picture`s. `square`: width of a px in its heights, 1 without it."""
    library = av()
    with library.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        (stream.height, stream.width), stream.pix_fmt = sizes[0], form
        if square:
            stream.codec_context.sample_aspect_ratio = square
            stream.sample_aspect_ratio = square
        for number in range(frames):
            size = sizes[number * len(sizes) // frames]
            drawn = library.VideoFrame.from_ndarray(picture(number, size), format="rgb24")
            for packet in stream.encode(drawn):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return path


def turned(path: Path, matrix: tuple[int, int, int, int] = QUARTER) -> Path:
    """Write a display matrix into the track header of an MP4 file, as phones do."""
    data = path.read_bytes()
    at = data.index(b"tkhd") + 4 + 4 + 20 + 8 + 8  # version and flags, times, layer and volume
    one = 1 << 16
    a, b, c, d = (one * value for value in matrix)
    values = (a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data[:at] + struct.pack(">9i", *values) + data[at + 36 :])
    return path
