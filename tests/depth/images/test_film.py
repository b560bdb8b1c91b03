"""Pictures as a video file: odd sizes, and sizes that no coding takes."""

from __future__ import annotations

import io
from fractions import Fraction

import numpy as np
import pytest

from depth.errors import DepthFileError
from depth.images.film import DEPTH, PREVIEWS, Film, FilmCoding
from tests.support.videos import av


def film_of(coding: FilmCoding, height: int, width: int) -> tuple[int, int]:
    """(height, width) px of the video of two such pictures."""
    file = io.BytesIO()
    picture = (
        np.zeros((height, width), np.uint16)
        if coding is DEPTH
        else np.full((height, width, 3), 99, np.uint8)
    )
    with Film(file, coding, Fraction(1, 24)) as film:
        for number in range(2):
            film.add(picture, Fraction(number, 24))
    file.seek(0)
    with av().open(file) as container:
        found = [frame.to_ndarray().shape for frame in container.decode(video=0)]
        codec = container.streams.video[0].codec_context
        assert len(found) == 2
        return codec.height, codec.width


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (3, 5)], ids=str)
def test_pictures_of_few_px(size: tuple[int, int]) -> None:
    assert film_of(DEPTH, *size) == size
    even = tuple(max(2, side - side % 2) for side in size)
    assert [film_of(coding, *size) for coding in PREVIEWS] == [even, even]


@pytest.mark.parametrize("coding", PREVIEWS, ids=lambda coding: coding.codec)
def test_pictures_that_a_coding_does_not_take_are_refused(coding: FilmCoding) -> None:
    with pytest.raises(DepthFileError, match=rf"no video \({coding.codec}\) of 70000x2 px: .*"):
        film_of(coding, 2, 70_000)
