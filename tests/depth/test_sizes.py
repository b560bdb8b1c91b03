"""Which size the network sees: upstream's rule, worked out by hand, and its limits."""

from __future__ import annotations

from dataclasses import replace

import pytest

from depth.errors import InputError
from depth.sizes import (
    LOWER,
    MINIMAL,
    ONCE,
    TWICE,
    UPPER,
    SizeRule,
    parse_size,
    ratio_text,
    size_text,
)

V2 = SizeRule(LOWER, 518, 14, ONCE)
DA3 = SizeRule(UPPER, 504, 14, TWICE)
MIDAS = SizeRule(UPPER, 256, 32, ONCE)
DPT = SizeRule(MINIMAL, 384, 32, ONCE)


@pytest.mark.parametrize(
    ("image", "short_side_px", "size"),
    [
        ((518, 518), 518, (518, 518)),
        ((480, 640), 518, (518, 686)),  # 690.67 px are 49.33 patches
        ((640, 480), 518, (686, 518)),
        ((1080, 1920), 518, (518, 924)),  # 920.9 px are 65.78 patches
        ((1, 1), 518, (518, 518)),
        ((3, 4), 518, (518, 686)),  # the same shape, the same size
        ((4000, 6000), 518, (518, 784)),  # 777 px are 55.5 patches: half to even, 56
        ((518, 511), 518, (532, 518)),  # 525.1 px are 37.51 patches
        ((1000, 1010), 518, (518, 518)),
        ((480, 640), 520, (532, 700)),  # 520 is no multiple: 37 patches are too few, so 38
        ((480, 640), 252, (252, 336)),
        ((480, 640), 1, (14, 14)),
    ],
)
def test_the_lower_bound_rounded_once(
    image: tuple[int, int], short_side_px: int, size: tuple[int, int]
) -> None:
    assert replace(V2, side_px=short_side_px).size_for(*image) == size


@pytest.mark.parametrize(
    ("rule", "image", "size"),
    [
        (DA3, (1362, 2048), (336, 504)),
        (DA3, (1041, 1600), (322, 504)),  # 327.9 is 328 px, 23.4 patches
        (DA3, (504, 504), (504, 504)),
        (DA3, (7, 1000), (14, 504)),  # 3.5 is 4 px, and no side is below one patch
        (replace(DA3, side_px=640), (480, 640), (476, 644)),  # 45.7 patches: over the bound
        (replace(DA3, bound=LOWER), (480, 640), (504, 672)),
        (replace(DA3, side_px=525), (525, 525), (532, 532)),  # 37.5 patches: halves up
        (MIDAS, (480, 640), (192, 256)),
        (DPT, (1080, 1920), (384, 672)),  # the short side's factor is nearer to 1
        (DPT, (1920, 1080), (672, 384)),
        (DPT, (300, 200), (384, 256)),  # so is the long side's of an image that grows
        (DPT, (300, 900), (384, 1152)),  # factors 1.28 and 0.43
        (MIDAS, (250, 256), (256, 256)),
        (replace(MIDAS, side_px=100), (100, 100), (96, 96)),  # 3.1 of 32 px
        (replace(MIDAS, side_px=120), (120, 120), (96, 96)),  # 128 would cross the bound
    ],
)
def test_other_rules(rule: SizeRule, image: tuple[int, int], size: tuple[int, int]) -> None:
    assert rule.size_for(*image) == size


@pytest.mark.parametrize("height", [37, 60, 97, 119, 120])
@pytest.mark.parametrize("width", [40, 61, 97, 118, 150])
def test_sides_are_multiples_of_14_and_not_below_the_short_side(height: int, width: int) -> None:
    size = V2.size_for(height, width)
    V2.check(size)
    assert min(size) == 518
    assert (size[0] >= size[1]) == (height >= width) or size[0] == size[1]


def test_a_long_image_is_refused_with_advice() -> None:
    with pytest.raises(InputError, match=r"20000x10 px would need.*crop the image or lower"):
        V2.size_for(10, 20_000)
    with pytest.raises(InputError, match="input size 0 px: must be at least 1"):
        replace(V2, side_px=0).size_for(10, 10)
    with pytest.raises(InputError, match="input size -14 px"):
        replace(V2, side_px=-14).size_for(10, 10)


@pytest.mark.parametrize("text", ["518x686", "518X686", " 518x686 "])
def test_parse_size(text: str) -> None:
    assert parse_size(text, V2.check) == (518, 686)
    assert size_text(parse_size(text, V2.check)) == "518x686"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("518", "expected HEIGHTxWIDTH in px, like 518x686"),
        ("518x", "expected HEIGHTxWIDTH"),
        ("518x686x3", "expected HEIGHTxWIDTH"),
        ("axb", "expected HEIGHTxWIDTH"),
        ("", "expected HEIGHTxWIDTH"),
        ("518.0x686", "expected HEIGHTxWIDTH"),
        ("500x686", "height 500 px: must be a multiple of 14; nearest is 504"),
        ("518x0", "width 0 px: must be a multiple of 14; nearest is 14"),
        ("-14x14", "height -14 px"),
        ("14000x14000", "196000000 px, the limit is 1605632"),
    ],
)
def test_parse_size_refuses(text: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        parse_size(text, V2.check)


@pytest.mark.parametrize(
    ("size", "ratio"),
    [
        ((518, 686), "4:3"),
        ((686, 518), "3:4"),
        ((126, 168), "4:3"),
        ((126, 196), "3:2"),
        ((518, 518), "1:1"),
        ((518, 924), "16:9"),
        ((924, 518), "9:16"),
        ((140, 1400), "10:1"),
        ((518, 1218), "7:3"),
    ],
)
def test_a_ratio_in_words(size: tuple[int, int], ratio: str) -> None:
    assert ratio_text(size) == ratio
