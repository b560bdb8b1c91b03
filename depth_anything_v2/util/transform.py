"""Upstream's transforms: `from depth_anything_v2.util.transform import Resize, NormalizeImage`.

A sample is a dict: `image` [H,W,3], and `depth` and `mask` [H,W] where they are there. Each
transform writes into the sample and returns it, with upstream's numbers.
"""

from __future__ import annotations

import math
from collections.abc import MutableMapping, Sequence
from typing import Any

import cv2
import numpy as np

from depth.errors import InputError

Sample = MutableMapping[str, Any]

LOWER, UPPER, MINIMAL = "lower_bound", "upper_bound", "minimal"


class Resize:
    """To a width and height in px, or nearest to them with the aspect ratio kept.

    resize_target       also `depth` and `mask`, by the nearest pixel
    ensure_multiple_of  of both sides, in px
    resize_method       `lower_bound`, `upper_bound`: sides at least, or at most, as asked;
                        `minimal`: the side that changes less becomes what is asked

    Raises InputError for a method that there is not, or sizes that are not over 0.
    """

    def __init__(
        self,
        width: int,
        height: int,
        resize_target: bool = True,
        keep_aspect_ratio: bool = False,
        ensure_multiple_of: int = 1,
        resize_method: str = LOWER,
        image_interpolation_method: int = cv2.INTER_AREA,
    ) -> None:
        if resize_method not in (LOWER, UPPER, MINIMAL):
            raise InputError(
                f"resize_method {resize_method!r}: expected {LOWER}, {UPPER} or {MINIMAL}"
            )
        if min(width, height, ensure_multiple_of) < 1:
            raise InputError(f"resize to {width}x{height} px: expected sizes over 0")
        self._size = width, height
        self._keep, self._multiple, self._method = (
            keep_aspect_ratio,
            ensure_multiple_of,
            resize_method,
        )
        self._target, self._interpolation = resize_target, image_interpolation_method

    def get_size(self, width: int, height: int) -> tuple[int, int]:
        """(width, height) px that an image of this size gets."""
        across, down = self._size[0] / width, self._size[1] / height
        if self._keep:
            across = down = self._kept(across, down)
        return self._side(across * width, self._size[0]), self._side(down * height, self._size[1])

    def _kept(self, across: float, down: float) -> float:
        if self._method == LOWER:
            return max(across, down)
        if self._method == UPPER:
            return min(across, down)
        return across if abs(1 - across) < abs(1 - down) else down

    def _side(self, side: float, asked: int) -> int:
        """To the nearest multiple, halves to even; the multiple inside if that crosses a bound."""
        count = round(side / self._multiple)
        if self._method == UPPER and count * self._multiple > asked:
            count = math.floor(side / self._multiple)
        if self._method == LOWER and count * self._multiple < asked:
            count = math.ceil(side / self._multiple)
        return count * self._multiple

    def __call__(self, sample: Sample) -> Sample:
        height, width = sample["image"].shape[:2]
        # Of a narrow image upstream asks for 0 px, and fails.
        across, down = (max(side, self._multiple) for side in self.get_size(width, height))
        size = across, down
        sample["image"] = cv2.resize(sample["image"], size, interpolation=self._interpolation)
        for name, dtype in (("depth", None), ("mask", np.float32)):
            if self._target and name in sample:
                values = sample[name] if dtype is None else sample[name].astype(dtype)
                sample[name] = cv2.resize(values, size, interpolation=cv2.INTER_NEAREST)
        return sample


class NormalizeImage:
    """`image` less a mean, by a deviation: three numbers each."""

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        self._mean, self._std = mean, std

    def __call__(self, sample: Sample) -> Sample:
        sample["image"] = (sample["image"] - self._mean) / self._std
        return sample


class PrepareForNet:
    """`image` as [3,H,W]; everything float32 and contiguous."""

    def __call__(self, sample: Sample) -> Sample:
        sample["image"] = np.transpose(sample["image"], (2, 0, 1))
        for name in ("image", "depth", "mask"):
            if name in sample:
                sample[name] = np.ascontiguousarray(sample[name].astype(np.float32))
        return sample
