"""Image pixels to network input, as the steps of a model say. Without torch.

reference  upstream's numbers, for every family
fast       a resize of float64 values is done in whole levels of 0..255 instead; docs/host-path.md
           has time and error. A resize of whole levels is the same in both modes
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Optional

import numpy as np
import numpy.typing as npt

from depth.artifact.steps import NAMES, HostStep, Normalise, Resize
from depth.errors import InputError
from depth.maps.result import FloatArray
from depth.sizes import UPPER, Size, SizeRule

REFERENCE, FAST = "reference", "fast"
MODES = (REFERENCE, FAST)
INTERPOLATIONS = {"area": "INTER_AREA", "cubic": "INTER_CUBIC", "linear": "INTER_LINEAR"}
FLOAT64, UINT8 = "float64", "uint8"  # what a resize computes with

Pixels = npt.NDArray[np.uint8]


class _Scratch(threading.local):
    """A float64 array per thread, kept between images: fresh pages cost more than the resize."""

    _KEEP_BYTES = 128 << 20  # the channel of an image of 16 megapixels

    def __init__(self) -> None:
        self.kept = np.empty(0)

    def like(self, channel: Pixels) -> npt.NDArray[np.float64]:
        if channel.size <= self.kept.size:
            return self.kept[: channel.size].reshape(channel.shape)
        fresh = np.empty(channel.size)
        if fresh.nbytes <= self._KEEP_BYTES:
            self.kept = fresh
        return fresh.reshape(channel.shape)


_scratch = _Scratch()


class Preparation:
    """Pixels to network input. May be called from many threads.

    steps  host steps before the network: a `Resize`, and a `Normalise` unless the program
           normalises itself
    size   the model's size rule, which a resize in two passes needs

    Raises InputError for steps or parameters that this version does not do.
    """

    def __init__(self, steps: Sequence[HostStep], size: SizeRule) -> None:
        self._size = size
        self._resize, self._normalise = _known(steps)
        self._levels = _levels(self._normalise)

    def __call__(self, pixels: Pixels, size: Size, mode: str = REFERENCE) -> FloatArray:
        """Pixels [H,W,3] uint8, BGR as OpenCV reads them, to [1,3,h,w] float32 for (h, w) px, RGB.

        Values are normalised, or from 0 to 255 if the steps have no `Normalise`. `mode` is
        REFERENCE or FAST. Raises InputError if pixels or mode are anything else.
        """
        if mode not in MODES:
            raise InputError(f"no pre-processing {mode!r}; choose from {', '.join(MODES)}")
        _check(pixels)
        sizes = self._passes(pixels.shape[:2], size)
        result = np.empty((1, 3, *size), np.float32)
        if self._resize.dtype == FLOAT64 and mode == REFERENCE:
            self._from_float64(pixels, sizes, result[0])
        else:
            self._from_levels(pixels, sizes, result[0])
        return result

    def _passes(self, image: tuple[int, ...], size: Size) -> list[Size]:
        """The (height, width) px after each resize."""
        if self._resize.passes == 1:
            return [size]
        height, width = image
        rule = self._size
        if rule.size_for(height, width) != size:  # a program of another shape than the image
            side = max(size) if rule.bound == UPPER else min(size)
            rule = replace(rule, side_px=side)
        return [rule.whole_px(height, width), size]

    def _from_float64(self, pixels: Pixels, sizes: Sequence[Size], result: FloatArray) -> None:
        # Resizing is linear, so the division by 255 can wait until there are fewer pixels.
        # In float64: OpenCV's float32 cubic differs by up to 2e-4, and between its releases.
        # One channel after the other: the same bits with a third of the memory.
        wide = _scratch.like(pixels[:, :, 0])
        for channel, values in enumerate(result):
            wide[...] = pixels[:, :, 2 - channel]  # BGR to RGB
            plane: Any = wide
            for size in sizes:
                plane = self._resized(plane, size)
            if self._normalise is None:
                values[...] = plane
                continue
            mean, std = self._normalise.mean[channel], self._normalise.std[channel]
            np.subtract(plane * (1 / (255 * std)), mean / std, out=values, casting="same_kind")

    def _from_levels(self, pixels: Pixels, sizes: Sequence[Size], result: FloatArray) -> None:
        import cv2

        resized = np.ascontiguousarray(pixels)
        for size in sizes:
            if resized.shape[:2] != size:
                resized = self._resized(resized, size)
        for plane, levels, values in zip(cv2.split(resized)[::-1], self._levels, result):
            cv2.LUT(plane, levels, dst=values)

    def _resized(self, values: Any, size: Size) -> Any:
        import cv2  # at the first image: its import takes longer than all of this module

        height, width = size
        grows = height > values.shape[0] or width > values.shape[1]
        name = self._resize.enlarge if grows else self._resize.shrink
        return cv2.resize(values, (width, height), interpolation=getattr(cv2, INTERPOLATIONS[name]))


def unnormalised(images: FloatArray, normalise: Normalise) -> FloatArray:
    """Network input [B,3,H,W] back to RGB from 0 to 255, for programs that normalise themselves."""
    mean, std = (np.array(values)[:, None, None] for values in (normalise.mean, normalise.std))
    return ((images * std + mean) * 255).astype(np.float32)


def _known(steps: Sequence[HostStep]) -> tuple[Resize, Optional[Normalise]]:
    names = [NAMES.get(type(step), "?") for step in steps]
    if names not in (["resize"], ["resize", "normalise"]):
        raise InputError(
            f"pre-processing steps {', '.join(names) or 'none'}: this version does `resize`, then "
            "`normalise` or nothing"
        )
    resize: Any = steps[0]
    normalise: Any = steps[1] if len(steps) > 1 else None
    for name in (resize.enlarge, resize.shrink):
        if name not in INTERPOLATIONS:
            raise InputError(
                f"interpolation {name!r}: this version knows {', '.join(INTERPOLATIONS)}"
            )
    if resize.dtype not in (FLOAT64, UINT8) or resize.passes not in (1, 2):
        raise InputError(
            f"resize in {resize.dtype}, {resize.passes} passes: this version knows {FLOAT64} and "
            f"{UINT8}, 1 and 2 passes"
        )
    if normalise and not min(normalise.std) > 0:
        raise InputError(f"normalise by std {normalise.std}: expected numbers over 0")
    return resize, normalise


def _levels(normalise: Optional[Normalise]) -> FloatArray:
    """[3,256] float32: what each level becomes, by channel. In float32 like torchvision."""
    levels = np.arange(256, dtype=np.float32)
    if normalise is None:
        return np.stack([levels] * 3)
    mean, std = (
        np.array(values, np.float32)[:, None] for values in (normalise.mean, normalise.std)
    )
    result: FloatArray = (levels / np.float32(255) - mean) / std
    return result


def _check(pixels: Pixels) -> None:
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
        raise InputError(
            f"pixels are {pixels.dtype} {pixels.shape}: expected a non-empty uint8 [H,W,3], BGR"
        )
