"""The numbers of a preset's file: distance, inverse distance, or nearness from 0 to 1."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from depth.errors import InputError
from depth.family import RELATIVE_INVERSE, SKY
from depth.maps.result import FloatArray, Map, Result
from depth.presets.table import DISTANCE, INVERSE, NATIVE

SKY_FROM = 0.3  # sky where the sky map is at least this, as Depth Anything 3 has it

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Numbers:
    """Numbers [H,W] float32, and where there is depth, bool [H,W]; elsewhere they are 0."""

    values: FloatArray
    valid: Mask


def numbers_of(result: Result, holds: str) -> Numbers:
    """The numbers that a preset holds: DISTANCE, INVERSE, NEARNESS or NATIVE.

    No depth is where a value is not finite, where a distance is not above 0 and, of DISTANCE, where
    the model's sky map says sky.
    """
    found = result.depth
    if holds == DISTANCE:
        valid = _is_distance(found.values) & ~_sky(result)
        return _kept(found.values, valid)
    if holds == INVERSE:
        return _inverse(found)
    if holds == NATIVE:
        return _kept(found.values, np.isfinite(found.values))
    return _kept(*_near(found))


def near1(found: Map) -> FloatArray:
    """The map's values mapped linearly onto 0 to 1, float32 [H,W]: 1 is nearest.

    In `relative_inverse`, larger is nearer already; other kinds are turned round. A constant map
    becomes 0, and so does what is not finite. A frame of a sequence has 0 and 1 at the ends of the
    map's span.
    """
    values, valid = _near(found)
    return _kept(values, valid).values


def _near(found: Map) -> tuple[FloatArray, Mask]:
    valid = np.isfinite(found.values)
    values = found.values.astype(np.float64)
    low, high = found.span or _range(values, valid)
    if low == high:
        return np.zeros(values.shape, np.float32), valid
    values -= low
    values /= high - low
    if found.span is not None:
        np.clip(values, 0, 1, out=values)
    if found.kind != RELATIVE_INVERSE:
        np.subtract(1.0, values, out=values)
    return values.astype(np.float32), valid


def _inverse(found: Map) -> Numbers:
    """1 / z, or the values of `relative_inverse` themselves."""
    if found.kind == RELATIVE_INVERSE:
        return _kept(found.values, np.isfinite(found.values))
    valid = _is_distance(found.values)
    with np.errstate(divide="ignore", over="ignore"):
        values = np.float32(1) / np.where(valid, found.values, np.float32(1))
    return _kept(values, valid & np.isfinite(values))


def _is_distance(values: FloatArray) -> Mask:
    return np.isfinite(values) & (values > 0)


def _sky(result: Result) -> Mask:
    """Where the model's sky map says sky, bool [H,W] of the depth's size."""
    shape = result.depth.values.shape
    sky = result.maps.get(SKY)
    if sky is None:
        return np.zeros(shape, np.bool_)
    values = sky.values
    if values.shape != shape:
        resized = cv2.resize(values, shape[::-1], interpolation=cv2.INTER_NEAREST)
        values = resized.astype(np.float32, copy=False)
    return values >= SKY_FROM


def _kept(values: FloatArray, valid: Mask) -> Numbers:
    kept = np.where(valid, values, np.float32(0)).astype(np.float32, copy=False)
    return Numbers(kept, valid)


def _range(values: npt.NDArray[np.float64], valid: Mask) -> tuple[float, float]:
    """The lowest and highest valid value; equal if there is none, or nothing between them."""
    if not valid.any():
        return 0.0, 0.0
    low, high = float(values[valid].min()), float(values[valid].max())
    return low, high


def ends_of(found: Map, numbers: Numbers) -> tuple[float, float]:
    """The lowest and highest number that codes show: of the map's inverse, or of its span.

    They are equal for a constant map, or for a map without depth. Raises InputError for a span that
    has no inverse.
    """
    if found.span is None:
        return _range(numbers.values.astype(np.float64), numbers.valid)
    low, high = found.span
    if found.kind == RELATIVE_INVERSE:
        return low, high
    if low <= 0:
        raise InputError(
            f"depth of the sequence reaches {low:g}, which has no inverse: take --preset midas, "
            "whose files have no range"
        )
    return 1 / high, 1 / low
