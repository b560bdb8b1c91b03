from __future__ import annotations

from dataclasses import replace

import pytest

from depth.errors import InputError
from depth.sizes import LOWER, ONCE, TWICE, UPPER, SizeRule
from serve.engine import Engine
from serve.errors import NoProgramError
from serve.library import Library
from serve.shapes import common_sizes, nearest_size
from tests.support.manifests import made_artifact, made_manifest

V2, DA3 = SizeRule(LOWER, 518, 14, ONCE), SizeRule(UPPER, 504, 14, TWICE)
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
    assert nearest_size(image, SIZES) == chosen


def test_of_two_equal_ratios_the_larger_one() -> None:
    assert nearest_size((300, 300), [(252, 252), (518, 518), (392, 392)]) == (518, 518)


def test_exact_does_not_ask_what_is_there() -> None:
    library = Library([made_artifact(made_manifest(size=V2))])
    assert Engine(library).size_for(1362, 2048) == (518, 784)
    assert Engine(library, size_rule=replace(V2, side_px=252)).size_for(1362, 2048) == (252, 378)
    assert Engine(library, size_rule=DA3).size_for(1362, 2048) == (336, 504)
    assert Engine(Library([]), size_rule=V2).size_for(1362, 2048) == (518, 784)
    with pytest.raises(NoProgramError, match="compile build"):  # whose rule is not known yet
        Engine(Library([])).size_for(1362, 2048)


def test_no_program_to_choose_from() -> None:
    with pytest.raises(NoProgramError, match="compile at least one"):
        nearest_size((100, 100), [])


def test_unknown_policy() -> None:
    with pytest.raises(InputError, match="exact, buckets"):
        Engine(Library([]), "letterbox")


def test_exact_refuses_an_extreme_aspect_ratio() -> None:
    with pytest.raises(InputError, match="aspect ratio"):
        Engine(Library([]), size_rule=V2).size_for(10, 20_000)


def test_common_sizes_are_distinct_and_keep_the_side_of_the_rule() -> None:
    for rule, side in ((V2, min), (DA3, max)):
        sizes = common_sizes(rule)
        assert len(set(sizes)) == len(sizes) == 7
        assert all(side(size) == rule.side_px for size in sizes)
    assert common_sizes(replace(V2, side_px=14)) == [(14, 14), (14, 28), (28, 14)]
