from __future__ import annotations

import pytest

from depth.errors import InputError
from serve.engine import Engine
from serve.errors import NoProgram
from serve.library import Library
from serve.shapes import BUCKETS, EXACT, common_sizes, program_size

SIZES = [(518, 518), (518, 686), (686, 518), (518, 924)]


@pytest.mark.parametrize(
    ("image", "chosen"),
    [
        ((480, 640), (518, 686)),
        ((640, 480), (686, 518)),
        ((500, 510), (518, 518)),
        ((1080, 1920), (518, 924)),
        ((10, 4000), (518, 924)),  # the widest there is, for anything wider
    ],
)
def test_buckets_take_the_nearest_aspect_ratio(
    image: tuple[int, int], chosen: tuple[int, int]
) -> None:
    assert program_size(BUCKETS, image, SIZES) == chosen


def test_of_two_equal_ratios_the_larger_one() -> None:
    assert program_size(BUCKETS, (300, 300), [(252, 252), (518, 518), (392, 392)]) == (518, 518)


def test_exact_does_not_ask_what_is_there() -> None:
    assert program_size(EXACT, (1362, 2048), []) == (518, 784)
    assert program_size(EXACT, (1362, 2048), [], short_side_px=252) == (252, 378)


def test_no_program_to_choose_from() -> None:
    with pytest.raises(NoProgram, match="compile at least one"):
        program_size(BUCKETS, (100, 100), [])


def test_unknown_policy() -> None:
    with pytest.raises(InputError, match="exact, buckets"):
        Engine(Library([]), "letterbox")


def test_exact_refuses_an_extreme_aspect_ratio() -> None:
    with pytest.raises(InputError, match="aspect ratio"):
        program_size(EXACT, (10, 20_000), [])


def test_common_sizes_are_distinct_and_keep_the_short_side() -> None:
    sizes = common_sizes(518)
    assert len(set(sizes)) == len(sizes) == 7
    assert all(min(size) == 518 for size in sizes)
