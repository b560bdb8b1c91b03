"""Image pixels to network input. Without torch.

reference  upstream's numbers: cubic resize by OpenCV in float64, scaled to 0..1, ImageNet
           normalisation, float32 (`image2tensor` in upstream's dpt.py)
fast       the same resize in whole levels of 0..255; docs/host-path.md has time and error
"""

from __future__ import annotations

import threading
from collections.abc import Collection
from typing import Callable

import cv2
import numpy as np
import numpy.typing as npt

from depth.errors import InputError
from depth.maps.result import FloatArray

REFERENCE, FAST = "reference", "fast"
MEAN = (0.485, 0.456, 0.406)  # ImageNet, RGB, of values in 0..1
STD = (0.229, 0.224, 0.225)
INTERPOLATION = "cubic"
NORMALISATION = "normalisation"  # a step that a program can do itself


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


def prepare(pixels: Pixels, size: tuple[int, int], folded: Collection[str] = ()) -> FloatArray:
    """Pixels [H,W,3] uint8, BGR as OpenCV reads them, to [1,3,h,w] float32 for size (h, w) px.

    `folded` are steps that the program does itself, as its manifest says: with "normalisation"
    the result is RGB from 0 to 255. Raises InputError if the pixels are anything else, or a folded
    step is unknown.
    """
    _check(pixels, folded)
    height, width = size
    # Resizing is linear, so the division by 255 can wait until there are fewer pixels.
    # In float64: OpenCV's float32 cubic differs from it by up to 2e-4, and between its releases.
    # One channel after the other: the same bits with a third of the memory.
    wide = _scratch.like(pixels[:, :, 0])
    result = np.empty((1, 3, height, width), np.float32)
    for channel, (mean, std) in enumerate(zip(MEAN, STD)):
        wide[...] = pixels[:, :, 2 - channel]  # BGR to RGB
        plane = cv2.resize(wide, (width, height), interpolation=cv2.INTER_CUBIC)
        if NORMALISATION in folded:
            result[0, channel] = plane
        else:
            np.subtract(
                plane * (1 / (255 * std)), mean / std, out=result[0, channel], casting="same_kind"
            )
    return result


def prepare_fast(pixels: Pixels, size: tuple[int, int], folded: Collection[str] = ()) -> FloatArray:
    """As `prepare`, within a level of 255, except that overshoot at hard edges is cut off.

    The same interpolation on purpose: averaging (INTER_AREA) gives a smoother picture than the
    network is used to, and changes depth thirty times as much.
    """
    _check(pixels, folded)
    height, width = size
    resized = cv2.resize(
        np.ascontiguousarray(pixels), (width, height), interpolation=cv2.INTER_CUBIC
    )
    result = np.empty((1, 3, height, width), np.float32)
    rgb = cv2.split(resized)[::-1]
    for plane, values, mean, std in zip(rgb, result[0], MEAN, STD):
        if NORMALISATION in folded:
            values[...] = plane
        else:
            np.multiply(plane, np.float32(1 / (255 * std)), out=values)
            values -= np.float32(mean / std)
    return result


PREPARE: dict[str, Callable[[Pixels, tuple[int, int], Collection[str]], FloatArray]] = {
    REFERENCE: prepare,
    FAST: prepare_fast,
}


def _check(pixels: Pixels, folded: Collection[str]) -> None:
    if not set(folded) <= {NORMALISATION}:
        raise InputError(f"folded steps {sorted(folded)}: this version knows {NORMALISATION!r}")
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
        raise InputError(
            f"pixels are {pixels.dtype} {pixels.shape}: expected a non-empty uint8 [H,W,3], BGR"
        )


def unnormalised(images: FloatArray) -> FloatArray:
    """Network input [B,3,H,W] back to RGB from 0 to 255, for programs that normalise themselves."""
    mean, std = (np.array(values)[:, None, None] for values in (MEAN, STD))
    return ((images * std + mean) * 255).astype(np.float32)
