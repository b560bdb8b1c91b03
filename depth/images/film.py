"""Pictures as a video file: by PyAV, each picture at its own time."""

from __future__ import annotations

import io
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from fractions import Fraction
from types import TracebackType
from typing import Any, BinaryIO, Optional, Union

import numpy as np
import numpy.typing as npt

from depth.errors import DepthFileError, InputError, first_line
from depth.images.read import Pixels
from depth.images.video import pyav

_QUALITY = {"crf": "18", "preset": "medium"}
_SAME_BYTES = {"fflags": "+bitexact"}  # no random number, no date
_FINEST = 1_000_000  # ticks of a second


@dataclass(frozen=True)
class FilmCoding:
    """How pictures become a file.

    form    of the pictures that are given: gray16le, uint16 [H,W]; rgb24, uint8 [H,W,3]
    pixels  of the pictures in the file
    ticks   of a second, at most, that the coding can count
    """

    suffix: str
    container: str
    codec: str
    form: str
    pixels: str
    options: dict[str, str] = field(default_factory=dict)
    ticks: int = _FINEST

    @property
    def even(self) -> bool:
        """Whether sides are even: odd sides lose a pixel, and a single pixel is doubled."""
        return self.pixels == "yuv420p"


DEPTH = FilmCoding(".mkv", "matroska", "ffv1", "gray16le", "gray16le")  # lossless
# The first that FFmpeg has: H.264, which every player takes, or MPEG-4.
PREVIEWS = (
    FilmCoding(".mp4", "mp4", "libx264", "rgb24", "yuv420p", _QUALITY),
    FilmCoding(".mp4", "mp4", "mpeg4", "rgb24", "yuv420p", {"qscale": "3"}, 65_535),
)


def preview_coding() -> FilmCoding:
    """The first of PREVIEWS that this FFmpeg encodes. Raises ModuleNotFoundError without PyAV."""
    there = pyav().codecs_available
    return next((coding for coding in PREVIEWS if coding.codec in there), PREVIEWS[-1])


class Film(AbstractContextManager["Film"]):
    """A video file that grows picture by picture. Use it as a context manager, in one thread.

    file   open for writing, from its beginning
    tick   of the times in s; Matroska rounds to 1/1000 s

    Pictures have one size. The same pictures give the same bytes, by the same version of PyAV.
    Raises DepthFileError for pictures that the coding does not take, such as H.264 of over 16384 px
    a side, and ModuleNotFoundError without PyAV.
    """

    def __init__(
        self,
        file: Union[BinaryIO, io.BytesIO],
        coding: FilmCoding,
        tick: Fraction,
        rate: Optional[Fraction] = None,
    ) -> None:
        self._coding = coding
        self._tick = tick if tick.denominator <= coding.ticks else Fraction(1, 60_000)
        self._rate = rate or Fraction(24)
        self._container = pyav().open(
            file, "w", format=coding.container, container_options=_SAME_BYTES
        )
        self._stream: Any = None
        self._last = -1

    def add(self, picture: npt.NDArray[Any], seconds: Fraction) -> None:
        """One more picture, which is shown from this time on; later than the one before."""
        plain = np.ascontiguousarray(_even(picture) if self._coding.even else picture)
        if self._stream is None:
            self._begin(*plain.shape[:2])
        frame = pyav().VideoFrame.from_ndarray(plain, format=self._coding.form)
        self._last = max(round(seconds / self._tick), self._last + 1)
        frame.pts, frame.time_base = self._last, self._tick
        self._container.mux(self._encoded(frame))

    def _encoded(self, frame: Any) -> Any:
        try:
            return self._stream.encode(frame)
        except pyav().FFmpegError as error:
            codec = self._stream.codec_context
            raise DepthFileError(
                f"no video ({codec.name}) of {codec.width}x{codec.height} px: {first_line(error)}; "
                "make the pictures smaller"
            ) from error

    def _begin(self, height: int, width: int) -> None:
        coding = self._coding
        stream = self._container.add_stream(
            coding.codec, rate=self._rate, options=dict(coding.options)
        )
        stream.width, stream.height, stream.pix_fmt = width, height, coding.pixels
        stream.codec_context.time_base = stream.time_base = self._tick
        stream.thread_count = 1
        self._stream = stream

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        if kind is None and self._stream is not None:
            self._container.mux(self._encoded(None))
        self._container.close()


def _even(picture: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """[H,W,3] with even sides."""
    for axis in (0, 1):
        if picture.shape[axis] == 1:
            picture = picture.repeat(2, axis)
    height, width = (side - side % 2 for side in picture.shape[:2])
    return picture[:height, :width]


def encoded_mp4(pictures: Iterable[Pixels], fps: float) -> bytes:
    """H.264 of pictures [H,W,3] RGB of one size; odd sides lose a px.

    The same pictures give the same bytes, by the same version of PyAV. Raises InputError for no
    picture, ModuleNotFoundError without PyAV.
    """
    file = io.BytesIO()
    rate = Fraction(fps).limit_denominator(1000)
    number = -1
    with Film(file, PREVIEWS[0], 1 / rate, rate) as film:
        for number, picture in enumerate(pictures):
            film.add(picture, number / rate)
    if number < 0:
        raise InputError("a video of no pictures: expected at least one")
    return file.getvalue()
