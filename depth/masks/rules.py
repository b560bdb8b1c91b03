"""What a stored result says to leave out of an image: by depth, sky and confidence."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Optional

import numpy as np
import numpy.typing as npt

from depth.errors import InputError
from depth.family import CONFIDENCE, FOCAL_NORMALISED, METRES, RELATIVE_INVERSE, SKY
from depth.maps.result import FloatArray, Map, Result
from depth.postprocess import resize_depth
from depth.sizes import Size

Region = npt.NDArray[np.bool_]  # [H,W]: true where the image is left out

SKY_THRESHOLD = 0.3  # as the step `sky_to_far` of the models that know the sky


@dataclass(frozen=True)
class DepthRules:
    """What is left out of an image; None and False: nothing.

    near_m, far_m      what is nearer or farther, in metres
    nearest, farthest  shares of the pixels, over 0 and below 1; equal depths go together
    sky                whether the sky is left out, where the map `sky` is at least `sky_threshold`
    min_confidence     what the model is less sure of, in the unit of its map `confidence`

    Raises InputError for numbers that no image can meet.
    """

    near_m: Optional[float] = None
    far_m: Optional[float] = None
    nearest: Optional[float] = None
    farthest: Optional[float] = None
    sky: bool = False
    sky_threshold: float = SKY_THRESHOLD
    min_confidence: Optional[float] = None

    def __post_init__(self) -> None:
        for name, metres in (("near", self.near_m), ("far", self.far_m)):
            if metres is not None and not 0 < metres < math.inf:
                raise InputError(f"--{name} {metres:g}: expected metres over 0")
        if self.near_m is not None and self.far_m is not None and self.near_m >= self.far_m:
            raise InputError(f"--near {self.near_m:g} is not below --far {self.far_m:g}")
        for name, share in (("nearest", self.nearest), ("farthest", self.farthest)):
            if share is not None and not 0 < share < 1:
                raise InputError(f"--{name}: expected a share between 0 % and 100 %, such as 20%")
        if self.sky_threshold != SKY_THRESHOLD and not self.sky:
            raise InputError(f"--sky-threshold {self.sky_threshold:g}: give --sky too")
        for name, value in (
            ("sky-threshold", self.sky_threshold),
            ("min-confidence", self.min_confidence),
        ):
            if value is not None and not math.isfinite(value):
                raise InputError(f"--{name} {value}: expected a finite number")

    @property
    def any(self) -> bool:
        """Whether something is asked for, so that a stored result is needed."""
        asked = (self.near_m, self.far_m, self.nearest, self.farthest, self.min_confidence)
        return self.sky or any(value is not None for value in asked)

    def regions(self, result: Result, size: Size) -> Iterator[tuple[str, Region]]:
        """What each source leaves out, by name, at the (height, width) px of the upright image.

        Maps are resized bilinearly before they are compared. Raises InputError if the result lacks
        a map, or its depth is not in metres where metres are asked for.
        """
        if self.near_m is not None or self.far_m is not None:
            yield "range", self._range(_metres(result), size)
        if self.nearest is not None or self.farthest is not None:
            yield "quantile", self._quantile(result.depth, size)
        if self.sky:
            sky = _named(result, SKY, "--sky", "a model that knows the sky")
            yield "sky", resize_depth(sky.values, size) >= self.sky_threshold
        if self.min_confidence is not None:
            sure = _named(result, CONFIDENCE, "--min-confidence", "a model that gives confidence")
            yield "confidence", resize_depth(sure.values, size) < self.min_confidence

    def _range(self, depth: Map, size: Size) -> Region:
        values = resize_depth(depth.values, size)
        near = -math.inf if self.near_m is None else self.near_m
        far = math.inf if self.far_m is None else self.far_m
        return (values < near) | (values > far)

    def _quantile(self, depth: Map, size: Size) -> Region:
        """Of flat depth nothing is left out: no pixel is farther than another."""
        far = -depth.values if depth.kind == RELATIVE_INVERSE else depth.values
        if far.min() == far.max():
            return np.zeros(size, np.bool_)
        values = resize_depth(far, size)
        region = np.zeros(size, np.bool_)
        if self.nearest is not None:
            region |= values <= _quantile(far, self.nearest)
        if self.farthest is not None:
            region |= values >= _quantile(far, 1 - self.farthest)
        return region


def share_of(text: str) -> float:
    """`20%` or `20` to 0.2. Raises InputError for anything else."""
    try:
        return float(text.strip().removesuffix("%")) / 100
    except ValueError:
        raise InputError(f"{text!r}: expected a share in percent, such as 20%") from None


def _quantile(values: FloatArray, share: float) -> float:
    return float(np.quantile(values, share))


def _metres(result: Result) -> Map:
    if result.depth.kind == FOCAL_NORMALISED:
        raise InputError(
            "--near and --far are metres, and its depth needs a focal length for that: make depth "
            "again with --focal-px, --fov-deg or --intrinsics"
        )
    if result.depth.kind != METRES:
        raise InputError(
            f"--near and --far are metres, and its depth is {result.depth.kind}: make depth with a "
            "metric model, or use --nearest and --farthest, such as --farthest 20%"
        )
    return result.depth


def _named(result: Result, name: str, option: str, remedy: str) -> Map:
    if name not in result.maps:
        raise InputError(
            f"{option} needs a map {name!r}, and the result has {', '.join(result.maps)}: make "
            f"depth with {remedy}"
        )
    return result.maps[name]
