"""Network output to maps of a result: the host steps after the network. Without torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Optional

import numpy as np
import numpy.typing as npt

from depth.artifact.steps import NAMES, HostStep, MetresFromFocal, ResizeBack, SkyToFar
from depth.errors import InputError
from depth.family import DEPTH, SKY
from depth.maps.result import FloatArray, Focal, Map
from depth.sizes import Size
from depth.steps.metres import metres_from_focal
from depth.steps.sky import sky_to_far

AFTER = (SkyToFar, MetresFromFocal, ResizeBack)  # the steps there are after a network
_ROWS = 32  # rows interpolated at a time: fresh pages and a full cache cost more than the sums


class Finishing:
    """The host steps after a network. Safe in any thread.

    Raises InputError for a step or parameter that this version does not do after a network.
    """

    def __init__(self, steps: Sequence[HostStep]) -> None:
        for step in steps:
            _check(step)
        self._steps = tuple(steps)

    def __call__(
        self, maps: Mapping[str, Map], image_size: Optional[Size], focal: Optional[Focal] = None
    ) -> dict[str, Map]:
        """The maps [h,w] of a network after every step.

        image_size  (height, width) px that maps are resized to; None to leave them as they are
        focal       focal length of the image in px of the network's input, if it is known

        Raises InputError if a step needs a map that is not there.
        """
        result = dict(maps)
        for step in self._steps:
            if isinstance(step, SkyToFar):
                depth, sky = _named(result, DEPTH), _named(result, SKY)
                result[DEPTH] = replace(depth, values=sky_to_far(depth.values, sky.values, step))
            elif isinstance(step, MetresFromFocal):
                result[DEPTH] = metres_from_focal(_named(result, DEPTH), focal, step)
            elif image_size is not None:
                result = {
                    name: replace(found, values=resize_depth(found.values, image_size))
                    for name, found in result.items()
                }
        return result


def step_names(steps: Sequence[HostStep], full_size: bool, has_focal: bool) -> tuple[str, ...]:
    """The steps that do something, by name; a seed as sky_to_far(seed=0).

    full_size  whether maps are resized to the image's size
    has_focal  whether the focal length of the image is known
    """
    idle = {ResizeBack: not full_size, MetresFromFocal: not has_focal}
    return tuple(_name(step) for step in steps if not idle.get(type(step)))


def _check(step: HostStep) -> None:
    if not isinstance(step, AFTER):
        raise InputError(f"step {_name(step)!r}: this version does not do it after a network")
    if isinstance(step, ResizeBack) and (step.interpolation, step.align_corners) != (
        "bilinear",
        True,
    ):
        raise InputError(
            f"resize_back by {step.interpolation}, align_corners {step.align_corners}: this "
            "version does bilinear with aligned corners"
        )


def _name(step: HostStep) -> str:
    name = NAMES.get(type(step), type(step).__name__)
    return f"{name}(seed={step.seed})" if isinstance(step, SkyToFar) else name


def _named(maps: Mapping[str, Map], name: str) -> Map:
    if name not in maps:
        raise InputError(f"no output {name!r}, only {', '.join(maps)}: a step needs it")
    return maps[name]


def resize_depth(values: FloatArray, size: tuple[int, int]) -> FloatArray:
    """[h,w] float32 to [H,W] for size (H, W) px, bilinear with aligned corners.

    The same interpolation as upstream's `F.interpolate(..., align_corners=True)`; OpenCV's
    `resize` aligns pixel edges instead, and its `remap` rounds positions to 1/32 px.
    """
    height, width = size
    wide = _widened(values, width)
    top, bottom, down = _taps(len(wide), height)
    result = np.empty(size, np.float32)
    for start in range(0, height, _ROWS):
        rows = slice(start, start + _ROWS)
        upper = wide[top[rows]]
        part = np.subtract(wide[bottom[rows]], upper, out=result[rows])
        part *= down[rows, None]
        part += upper
    return result


def _widened(values: FloatArray, width: int) -> FloatArray:
    """[h,w] to [h,W]. Row by row: all at once, numpy would lay the gathered columns out as rows."""
    left, right, across = _taps(values.shape[1], width)
    first = 1 - across
    result = np.empty((len(values), width), np.float32)
    for row, part in zip(values, result):
        np.multiply(row[left], first, out=part)
        part += row[right] * across
    return result


def _taps(
    source: int, target: int
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], FloatArray]:
    """For every target position: the two source positions and the weight of the second."""
    # In float32 like torch: at position 700 its rounding moves the weights by up to 6e-5.
    step = np.float32((source - 1) / (target - 1)) if target > 1 else np.float32(0)
    position = np.arange(target, dtype=np.float32) * step
    low = np.minimum(position.astype(np.intp), source - 1)
    high = np.minimum(low + 1, source - 1)
    return low, high, position - low.astype(np.float32)
