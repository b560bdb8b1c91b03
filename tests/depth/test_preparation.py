"""Pre-processing as data: Depth Anything 3's way, other parameters, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from depth.artifact.steps import HostStep, Normalise, Resize, ResizeBack
from depth.errors import InputError
from depth.family import IMAGENET
from depth.preprocess import FAST, Preparation, unnormalised
from depth.sizes import LOWER, ONCE, TWICE, UPPER, SizeRule

Pixels = npt.NDArray[np.uint8]

TWO_PASSES = (Resize("cubic", "area", "uint8", 2), IMAGENET)
RULE = SizeRule(UPPER, 56, 14, TWICE)


def noise(height: int, width: int, seed: int = 0) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def by_hand(pixels: Pixels, *passes: tuple[tuple[int, int], int]) -> npt.NDArray[np.float32]:
    """Resizes of (size, interpolation) in whole levels, then normalised as torchvision does it."""
    rgb = np.ascontiguousarray(pixels[..., ::-1])
    for (height, width), interpolation in passes:
        rgb = cv2.resize(rgb, (width, height), interpolation=interpolation)
    mean, std = (np.array(v, np.float32) for v in (IMAGENET.mean, IMAGENET.std))
    scaled = rgb.astype(np.float32) / np.float32(255)
    return ((scaled - mean) / std).transpose(2, 0, 1)[None]


@pytest.mark.parametrize(
    ("image", "passes"),
    [
        ((33, 100), [((18, 56), cv2.INTER_AREA), ((14, 56), cv2.INTER_AREA)]),
        ((40, 100), [((22, 56), cv2.INTER_AREA), ((28, 56), cv2.INTER_CUBIC)]),
        ((30, 40), [((42, 56), cv2.INTER_CUBIC)]),
        ((20, 30), [((37, 56), cv2.INTER_CUBIC), ((42, 56), cv2.INTER_CUBIC)]),
        ((56, 42), []),
        ((56, 50), [((56, 56), cv2.INTER_CUBIC)]),
    ],
)
def test_two_passes_in_whole_levels(image: tuple[int, int], passes: Any) -> None:
    pixels = noise(*image)
    size = RULE.size_for(*image)
    found = Preparation(TWO_PASSES, RULE)(pixels, size)
    assert found.dtype == np.float32
    assert np.array_equal(found, by_hand(pixels, *passes))
    assert np.array_equal(Preparation(TWO_PASSES, RULE)(pixels, size, FAST), found)


def test_a_bound_that_is_no_multiple_is_the_first_size() -> None:
    pixels, rule = noise(60, 90), SizeRule(LOWER, 50, 14, TWICE)
    assert rule.size_for(60, 90) == (56, 70)
    expected = by_hand(pixels, ((50, 75), cv2.INTER_AREA), ((56, 70), cv2.INTER_CUBIC))
    assert np.array_equal(Preparation(TWO_PASSES, rule)(pixels, (56, 70)), expected)


def test_another_size_than_the_rule_s_is_reached_from_its_own_bound() -> None:
    pixels = noise(120, 160)
    expected = by_hand(pixels, ((21, 28), cv2.INTER_AREA), ((14, 28), cv2.INTER_AREA))
    assert np.array_equal(Preparation(TWO_PASSES, RULE)(pixels, (14, 28)), expected)


def test_pixels_of_any_layout() -> None:
    pixels, prepare = noise(90, 60), Preparation(TWO_PASSES, RULE)
    plain = prepare(pixels, (56, 42))
    assert np.array_equal(prepare(np.asfortranarray(pixels), (56, 42)), plain)
    backwards = np.ascontiguousarray(pixels[::-1, ::-1])[::-1, ::-1]
    assert np.array_equal(prepare(backwards, (56, 42)), plain)


def test_other_means_and_none() -> None:
    half = Normalise((0.5,) * 3, (0.5,) * 3)
    resize = Resize("cubic", "cubic", "uint8", 1)
    pixels, rule = noise(14, 28), SizeRule(LOWER, 14, 14, ONCE)
    rgb = pixels[..., ::-1].transpose(2, 0, 1)[None]
    found = Preparation((resize, half), rule)(pixels, (14, 28))
    assert (found.min(), found.max()) == (-1, 1)
    assert np.array_equal(np.rint(unnormalised(found, half)), rgb)
    assert np.array_equal(Preparation((resize,), rule)(pixels, (14, 28)), rgb)


@pytest.mark.parametrize(
    ("steps", "text"),
    [
        ((), "steps none: this version does `resize`"),
        ((IMAGENET,), "steps normalise"),
        ((IMAGENET, TWO_PASSES[0]), "steps normalise, resize"),
        ((*TWO_PASSES, ResizeBack("bilinear", True)), "resize, normalise, resize_back"),
        ((replace(TWO_PASSES[0], enlarge="best"),), "'best': this version knows area, cubic"),
        ((replace(TWO_PASSES[0], dtype="float16"),), "resize in float16, 2 passes"),
        ((replace(TWO_PASSES[0], passes=3),), "resize in uint8, 3 passes"),
        ((TWO_PASSES[0], Normalise((0.5,) * 3, (0.5, 0.0, 0.5))), "expected numbers over 0"),
    ],
)
def test_what_no_version_did_is_refused(steps: tuple[HostStep, ...], text: str) -> None:
    with pytest.raises(InputError, match=text):
        Preparation(steps, RULE)


def test_an_unknown_mode_is_refused() -> None:
    with pytest.raises(InputError, match="'quick'; choose from reference, fast"):
        Preparation(TWO_PASSES, RULE)(noise(30, 40), (42, 56), "quick")
