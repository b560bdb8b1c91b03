"""Pixels to network input and network output to pixels, compared with torch and with plain sums."""

from __future__ import annotations

import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import torch
import torch.nn.functional as F

from depth.errors import InputError
from depth.family import IMAGENET
from depth.postprocess import resize_depth
from depth.preprocess import FAST, Preparation, unnormalised
from depth_anything_v2.config import BEFORE, SIZE
from tests.support.hostile import picture

Pixels = npt.NDArray[np.uint8]

prepare, prepare_raw = Preparation(BEFORE, SIZE), Preparation(BEFORE[:1], SIZE)


def noise(height: int, width: int, seed: int = 0) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def as_published(pixels: Pixels, size: tuple[int, int]) -> npt.NDArray[np.float32]:
    """The published order of steps: to RGB, to 0..1, resize, normalise, channels first, float32."""
    rgb = pixels[:, :, ::-1] / 255.0
    rgb = cv2.resize(rgb, size[::-1], interpolation=cv2.INTER_CUBIC)
    return ((rgb - IMAGENET.mean) / IMAGENET.std).transpose(2, 0, 1)[None].astype(np.float32)


@pytest.mark.parametrize("image", [(37, 53), (120, 90), (300, 400), (1, 1), (56, 70)])
def test_prepare_gives_the_published_numbers(image: tuple[int, int]) -> None:
    pixels = noise(*image)
    found = prepare(pixels, (56, 70))
    assert found.dtype == np.float32
    assert found.flags.c_contiguous
    assert np.abs(found - as_published(pixels, (56, 70))).max() < 2e-6


def test_prepare_by_hand() -> None:
    pixels = np.empty((10, 10, 3), np.uint8)
    pixels[:] = (51, 102, 204)  # BGR: 0.2, 0.4, 0.8
    found = prepare(pixels, (14, 28))
    assert found.shape == (1, 3, 14, 28)
    expected = [(0.8 - 0.485) / 0.229, (0.4 - 0.456) / 0.224, (0.2 - 0.406) / 0.225]
    np.testing.assert_allclose(found[0].reshape(3, -1).min(1), expected, rtol=1e-6)
    np.testing.assert_allclose(found[0].reshape(3, -1).max(1), expected, rtol=1e-6)


def test_a_program_that_normalises_itself_gets_rgb_values() -> None:
    pixels = np.random.default_rng(5).integers(0, 256, (9, 13, 3), np.uint8)
    raw = prepare_raw(pixels, (14, 28))
    assert raw.dtype == np.float32
    whole = prepare(pixels, (14, 28))
    assert np.abs(unnormalised(whole, IMAGENET) - raw).max() <= 1e-3  # of 255
    same = prepare_raw(pixels, (9, 13))
    assert np.array_equal(same[0], pixels.transpose(2, 0, 1)[::-1])


def test_prepare_leaves_the_pixels_alone_and_takes_any_layout() -> None:
    pixels = noise(40, 60)
    before = pixels.copy()
    turned = np.asfortranarray(pixels)
    backwards = np.ascontiguousarray(pixels[::-1, ::-1])[::-1, ::-1]
    plain = prepare(pixels, (28, 42))
    assert np.array_equal(pixels, before)
    assert np.array_equal(prepare(turned, (28, 42)), plain)
    assert np.array_equal(prepare(backwards, (28, 42)), plain)


def test_prepare_keeps_nothing_from_a_larger_image_before() -> None:
    small = noise(20, 30, seed=1)
    fresh = as_published(small, (28, 42))
    prepare(noise(200, 300), (28, 42))
    assert np.abs(prepare(small, (28, 42)) - fresh).max() < 2e-6


def test_prepare_has_one_channel_in_float64_at_a_time() -> None:
    pixels = noise(900, 1200)
    tracemalloc.start()
    try:
        with ThreadPoolExecutor(1) as pool:  # with nothing kept from before
            pool.submit(prepare, pixels, (28, 42)).result()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1.2 * pixels[:, :, 0].size * 8


def test_prepare_in_threads() -> None:
    images = [noise(30 + 7 * i, 90 - 5 * i, i) for i in range(12)]
    alone = [prepare(image, (28, 42)) for image in images]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda image: prepare(image, (28, 42)), images))
    assert all(np.array_equal(a, b) for a, b in zip(alone, together))


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 1), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((1, 4, 4, 3), np.uint8),
    ],
    ids=lambda pixels: f"{pixels.dtype} {pixels.shape}",
)
def test_prepare_refuses_what_is_not_bgr_bytes(pixels: Any) -> None:
    with pytest.raises(
        InputError, match=r"pixels are .*: expected a non-empty uint8 \[H,W,3\], BGR"
    ):
        prepare(pixels, (14, 14))


@pytest.mark.parametrize("source", [(14, 28), (37, 49), (1, 1), (56, 70)])
@pytest.mark.parametrize("target", [(14, 28), (97, 31), (300, 451), (1, 1), (1, 50), (10, 5)])
def test_resize_depth_is_torchs(source: tuple[int, int], target: tuple[int, int]) -> None:
    values = np.random.default_rng(0).random(source, dtype=np.float32) * 40
    expected = F.interpolate(
        torch.from_numpy(values)[None, None], target, mode="bilinear", align_corners=True
    )[0, 0].numpy()
    found = resize_depth(values, target)
    assert found.dtype == np.float32
    assert found.shape == target
    assert np.abs(found - expected).max() <= 1e-5 * 40


def test_resize_depth_at_the_size_of_a_photograph_is_torchs() -> None:
    values = np.random.default_rng(0).random((518, 686), dtype=np.float32)
    expected = F.interpolate(
        torch.from_numpy(values)[None, None], (1200, 1600), mode="bilinear", align_corners=True
    )[0, 0].numpy()
    # Noise is the worst case, and versions of torch differ in it by 4e-5 among themselves.
    assert np.abs(resize_depth(values, (1200, 1600)) - expected).max() < 1e-4


def test_resize_depth_by_hand() -> None:
    values = np.array([[0, 2], [4, 6]], np.float32)
    expected = [[0, 1, 2], [2, 3, 4], [4, 5, 6]]
    assert resize_depth(values, (3, 3)).tolist() == expected
    assert resize_depth(values, (1, 1)).tolist() == [[0]]
    assert resize_depth(values, (2, 2)).tolist() == values.tolist()
    assert resize_depth(values[:1], (2, 3)).tolist() == [[0, 1, 2], [0, 1, 2]]


def test_fast_is_within_half_a_level_of_the_reference() -> None:
    pixels = np.asarray(picture(300, 401))[:, :, ::-1]
    for size in ((56, 70), (322, 420)):
        folded = [
            prepare_raw(pixels, size),
            prepare_raw(pixels, size, FAST),
        ]
        difference = np.abs(folded[1] - np.clip(folded[0], 0, 255))
        assert difference.max() <= 0.52  # the weights of OpenCV's uint8 resize have 11 bits
        assert difference.mean() > 0.1
        ready = np.abs(prepare(pixels, size) - prepare(np.asarray(pixels), size, FAST))
        inside = (folded[0] >= 0) & (folded[0] <= 255)
        assert ready[inside].max() <= 0.52 / 255 / min(IMAGENET.std)


def test_fast_takes_any_layout_and_refuses_what_reference_refuses() -> None:
    pixels = np.asarray(picture(120, 90))
    plain = prepare(pixels, (56, 70), FAST)
    assert plain.shape == (1, 3, 56, 70)
    assert plain.dtype == np.float32
    assert np.array_equal(prepare(np.asfortranarray(pixels), (56, 70), FAST), plain)
    backwards = np.ascontiguousarray(pixels[::-1, ::-1])[::-1, ::-1]
    assert np.array_equal(prepare(backwards, (56, 70), FAST), plain)
    for wrong in (pixels[:0], pixels[..., 0], pixels.astype(np.float32)):
        with pytest.raises(InputError, match="pixels are"):
            prepare(wrong, (56, 70), FAST)  # type: ignore[arg-type]


def test_resize_depth_has_the_bits_of_the_plain_sum() -> None:
    """Blocks and rows are for speed; results of before must stay as they were."""

    def taps(source: int, target: int) -> tuple[Any, Any, Any]:
        step = np.float32((source - 1) / (target - 1)) if target > 1 else np.float32(0)
        position = np.arange(target, dtype=np.float32) * step
        low = np.minimum(position.astype(int), source - 1)
        return low, np.minimum(low + 1, source - 1), position - low.astype(np.float32)

    for source, target in (
        ((56, 70), (211, 333)),
        ((1, 7), (3, 4)),
        ((5, 1), (1, 1)),
        ((9, 9), (4, 5)),
    ):
        values = np.random.default_rng(1).random(source).astype(np.float32)
        left, right, across = taps(source[1], target[1])
        top, bottom, down = taps(source[0], target[0])
        wide = values[:, left] * (1 - across) + values[:, right] * across
        expected = (wide[bottom] - wide[top]) * down[:, None] + wide[top]
        assert np.array_equal(resize_depth(values, target), expected)
