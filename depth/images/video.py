"""Videos: frames of a file, upright, RGB, read as hostile input.

PyAV (FFmpeg) decodes. FFmpeg gets the open file and no way to open another: no playlist, no URL and
no second file. Memory does not grow with the length of the video.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from fractions import Fraction
from importlib.util import find_spec
from io import BufferedReader
from pathlib import Path
from types import TracebackType
from typing import Any, Optional

import cv2
import numpy as np
import numpy.typing as npt

from depth.errors import ImageError, InputError, first_line
from depth.files import reading
from depth.images.header import MAX_PIXELS
from depth.images.read import Pixels, printable

logger = logging.getLogger(__name__)

EXTENSIONS = (".mp4", ".avi", ".mov", ".mkv", ".flv", ".wmv", ".webm", ".m4v")  # upstream's list

# FFmpeg's names of containers. Others, such as hls and concat, open further files.
_CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,flv,asf,mpegts,mpeg,ogg"
_THREADS = 4  # of the decoder, at most: each holds a frame
_MAX_RATE = 1000.0  # frames/s
_TICKS = 90_000  # of a second
_WIDEST = 8  # of a px, in its heights; the rest is damage
_WHOLE = 0.95  # of the frames that the header promises
_MATRIX, _FULL_RANGE = "DISPLAYMATRIX", 2  # FFmpeg's names of what comes with a frame


@dataclass(frozen=True)
class Frame:
    """A frame that was taken. `number` counts all frames of the video from 0."""

    number: int
    pixels: Pixels  # [H,W,3] RGB
    seconds: Fraction = Fraction(0)  # its time by the file, exact


class _Opened:
    """An open file as PyAV takes it. A place before its beginning is -1, as FFmpeg has it."""

    def __init__(self, file: BufferedReader) -> None:
        self.read, self.tell = file.read, file.tell
        self._file = file

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        try:
            return self._file.seek(offset, whence)
        except OSError:  # PyAV would print it
            return -1


class Video(AbstractContextManager["Video"]):
    """An open video. Use it as a context manager, in one thread.

    fps  frames per second to take: every n-th frame, n = rate / fps rounded down, at least 1

    Raises ImageError for a file that is no video or has frames of over MAX_PIXELS, InputError for
    a rate that is not over 0, ModuleNotFoundError without PyAV.
    """

    def __init__(self, path: Path, fps: float) -> None:
        if not 0 < fps <= _MAX_RATE:
            raise InputError(f"{fps} frames/s: expected over 0, up to {_MAX_RATE:g}")
        self.name = printable(path)
        self.damaged = 0  # packets that were skipped
        with ExitStack() as stack:
            try:
                file = stack.enter_context(reading(path))
            except OSError as error:
                raise self._refusal(f"cannot be read ({error.strerror})") from error
            self._container = self._opened(file)
            stack.callback(self._container.close)
            self._stream = self._picture(self._container)
            self.rate = self._rate()
            self.step = max(1, int(self.rate / fps))
            self._open = stack.pop_all()

    @property
    def total(self) -> Optional[int]:
        """How many frames there are by the header, or by its duration; None if it does not say."""
        return self._stream.frames or self._by_duration()

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self._open.close()

    def frames(self) -> Iterator[Frame]:
        """The frames that are taken. Iterate once.

        Packets that cannot be decoded are skipped, and the log says so at the end. Raises
        ImageError if no frame can be decoded, or a frame has another size than the first.
        """
        count, size = 0, None
        for found in self._decoded():
            taken, count = count % self.step == 0, count + 1
            if not taken:
                continue
            pixels = self._pixels(found)
            size = size or pixels.shape
            if pixels.shape != size:
                raise self._refusal(
                    f"frame {count - 1} is {pixels.shape[1]}x{pixels.shape[0]} px, the first "
                    f"{size[1]}x{size[0]}: cut the video where its size changes",
                )
            yield Frame(count - 1, pixels, self._seconds(found, count - 1))
        if not count:
            raise self._refusal("damaged: none of its frames can be decoded")
        promised = self._stream.frames
        if self.damaged or count < _WHOLE * promised:
            logger.warning(
                "%s: damaged or cut: %d of %s frames were read, %d parts skipped",
                self.name,
                count,
                promised or "an unknown number of",
                self.damaged,
            )

    @property
    def tick(self) -> Fraction:
        """What times are whole numbers of, in s."""
        return self._stream.time_base or Fraction(1, _TICKS)

    def _seconds(self, frame: Any, number: int) -> Fraction:
        """Its time, or without a time stamp that of its number."""
        if frame.pts is None or not frame.time_base:
            return number / Fraction(self.rate).limit_denominator(_TICKS)
        return frame.pts * frame.time_base

    def _refusal(self, reason: str) -> ImageError:
        return ImageError(f"{self.name}: {reason}")

    def _opened(self, file: BufferedReader) -> Any:
        av = pyav()
        closed = {"format_whitelist": _CONTAINERS, "protocol_whitelist": ""}
        try:
            return av.open(
                _Opened(file), container_options=closed
            )  # its `options` crash PyAV on FLV
        except (av.FFmpegError, OSError, ValueError) as error:
            kinds = ", ".join(EXTENSIONS)
            raise self._refusal(
                f"no video that can be read ({first_line(error)}); expected {kinds}"
            ) from error

    def _picture(self, container: Any) -> Any:
        """The stream of pictures, ready to be decoded. The cover of an album is none."""
        for stream in container.streams.video:
            if stream.codec_context and not stream.disposition & stream.disposition.attached_pic:
                break
        else:
            raise self._refusal("it has no moving picture that can be decoded")
        codec = stream.codec_context
        if not 0 < codec.width * codec.height <= MAX_PIXELS:
            raise self._refusal(
                f"frames of {codec.width}x{codec.height} px, over {MAX_PIXELS} pixels"
            )
        codec.options = {"max_pixels": str(MAX_PIXELS)}
        codec.thread_type = "AUTO"
        codec.thread_count = min(_THREADS, os.cpu_count() or 1)
        return stream

    def _rate(self) -> float:
        rate = self._stream.average_rate or self._stream.guessed_rate
        if not rate or not 0 < rate <= _MAX_RATE:
            raise self._refusal(f"{rate or 'no'} frames/s: expected up to {_MAX_RATE:g}")
        return float(rate)

    def _by_duration(self) -> Optional[int]:
        stream = self._stream
        seconds = (
            stream.duration * stream.time_base
            if stream.duration and stream.time_base
            else Fraction(self._container.duration or 0, 1_000_000)
        )
        return max(round(float(seconds) * self.rate), 0) or None

    def _decoded(self) -> Iterator[Any]:
        av = pyav()
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
                if packet is None:
                    return
                found = packet.decode()
            except av.EOFError:
                return
            except av.InvalidDataError:
                self.damaged += 1
                continue
            except (av.FFmpegError, OSError) as error:  # OSError: a place before the file's begin
                raise self._refusal(f"cannot be decoded ({first_line(error)})") from error
            yield from found

    def _pixels(self, frame: Any) -> Pixels:
        av = pyav()
        if frame.width * frame.height > MAX_PIXELS:
            raise self._refusal(f"a frame of {frame.width}x{frame.height} px, too large")
        try:
            # PyAV would take BT.601 if both standards are equal, and never the range of the frame.
            full = frame.color_range == _FULL_RANGE
            pixels: Pixels = frame.to_ndarray(
                format="rgb24",
                dst_colorspace="ITU601",
                src_color_range="JPEG" if full else "MPEG",
                dst_color_range="JPEG",
            )
        except (av.FFmpegError, OSError, ValueError) as error:
            raise self._refusal(
                f"px of the form {frame.format.name}: {first_line(error)}"
            ) from error
        square = _square(pixels, self._stream.sample_aspect_ratio)
        matrix = frame.side_data.get(_MATRIX) if frame.side_data else None
        return square if matrix is None else upright(square, np.frombuffer(matrix, np.int32))


def upright(pixels: Pixels, matrix: npt.NDArray[np.int32]) -> Pixels:
    """Turned and mirrored by a display matrix a b u c d v x y w: x' = ax + cy, y' = bx + dy.

    A turn by another angle than quarters is taken as the nearest of them.
    """
    a, b, _, c, d = matrix[:5].tolist()
    if abs(b) > abs(a):
        pixels, a, d = pixels.transpose(1, 0, 2), c, b
    found = pixels[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1]
    return np.ascontiguousarray(found)


def _square(pixels: Pixels, ratio: Optional[Fraction]) -> Pixels:
    """With square px, if those of the file are wider or narrower."""
    if not ratio or ratio == 1 or not Fraction(1, _WIDEST) <= ratio <= _WIDEST:
        return pixels
    height, width = pixels.shape[0], max(1, round(pixels.shape[1] * ratio))
    if height * width > MAX_PIXELS:
        return pixels
    resized: Pixels = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_LINEAR)
    return resized


def pyav() -> Any:
    """The package. Raises ModuleNotFoundError without it."""
    import av

    return av


def has_video() -> bool:
    """Whether PyAV is installed."""
    return find_spec("av") is not None
